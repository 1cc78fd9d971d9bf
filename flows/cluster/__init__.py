"""Shards on a cluster: the run writes orders, workers in other processes carry them out into outboxes, the run takes those over.

runner      starts or finds the cluster, and submits a Prefect task run for each shard
driver      in the run's process: orders, what came of them, workers that were lost, taking over
worker      in a worker's process: one for each build, with teachers, journal and verifiers of its own
notes       what the two tell each other, through files in the shared folder
purse       one budget, given to the workers in blocks
allotments  one account's limits, of which each worker holds a part by Prefect's global concurrency limits
"""
