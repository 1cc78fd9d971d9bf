"""A lake on an object store: a working copy on this machine's disk, and what keeps the two the same.

objects     the store itself: conditional puts, retries, errors in a user's terms
lease       one writer a lake, over all machines
known       what the working copy and the store last agreed on
pulling     from the store into the working copy
pushing     the other way
commits     the journal's commits: put before they count, and made into segments again where their writer died
replica     all of it together, for one lake
"""
