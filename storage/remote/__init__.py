"""A lake on an object store: a working copy on this machine's disk, and what keeps the two the same.

objects     the store itself: conditional puts, retries, errors in a user's terms
layout      which files the two share, and in which order they go
lease       one writer a lake, over all machines
watch       that lease, as workers see it
known       what the working copy and the store last agreed on
commits     the journal's commits: put before they count, and made into segments again where their writer died
depot       outboxes of workers on a cluster: put by them, emptied by whoever holds the lake
sweep       small files that grow, sent every few seconds
replica     all of it together, for one lake
"""
