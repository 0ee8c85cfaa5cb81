"""Batch mode: which jobs of a lane's backlog go into one request, and when that is sent."""

from event_gateway.delivery.job import Job
from event_gateway.delivery.lane import Lane


def goes_alone(lane: Lane, job: Job) -> bool:
    """Whether a delivery has a request of its own. In batch mode a retry has, so that a delivery
    that the receiver refuses holds up no other."""
    return lane.batch is None or bool(job.delivery.attempts) or job.delivery.probe


def seconds_to_wait(lane: Lane, now: float) -> float:
    """For how many seconds from ``now`` (the loop's clock) a lane's next request still waits for
    more events; 0 where it is complete. The backlog must not be empty."""
    batch, oldest = lane.batch, lane.backlog[0]
    if batch is None or goes_alone(lane, oldest):
        return 0.0
    if len(lane.backlog) >= batch.max_events or lane.backlog_bytes >= batch.max_bytes:
        return 0.0
    return max(0.0, oldest.waiting_since + batch.max_wait - now)


def take_request(lane: Lane) -> list[Job]:
    """Takes the jobs of the next request out of a lane's backlog."""
    batch = lane.batch
    jobs = [lane.pop_oldest()]
    if batch is None or goes_alone(lane, jobs[0]):
        return jobs
    room = batch.max_bytes - len(jobs[0].received.event.data)
    while lane.backlog and len(jobs) < batch.max_events:
        following = lane.backlog[0]
        room -= len(following.received.event.data)
        if goes_alone(lane, following) or room < 0:
            break
        jobs.append(lane.pop_oldest())
    return jobs
