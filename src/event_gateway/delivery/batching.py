"""What waits in a lane, in order: which of it goes into one request, and when."""

from event_gateway.delivery.lane import Job, Lane


def alone(lane: Lane, job: Job) -> bool:
    """Whether a delivery has a request of its own: in batch mode what has failed, so that one that
    is refused holds up no other."""
    return lane.batch is None or bool(job.delivery.attempts) or job.delivery.probe


def hold(lane: Lane, job: Job, now: float) -> None:
    """Puts a delivery behind those that wait."""
    job.held = now
    lane.gathered += len(job.received.event.data)
    lane.backlog.append(job)


def first(lane: Lane) -> Job:
    """Takes out the delivery that has waited longest."""
    job = lane.backlog.popleft()
    lane.gathered -= len(job.received.event.data)
    return job


def last(lane: Lane) -> Job:
    """Takes out the delivery that came last."""
    job = lane.backlog.pop()
    lane.gathered -= len(job.received.event.data)
    return job


def wait(lane: Lane, now: float) -> float:
    """For how many seconds from ``now`` (the loop's clock) a lane's next request still waits for
    more events; 0 where it is complete. There must be one that waits."""
    batch, oldest = lane.batch, lane.backlog[0]
    if batch is None or alone(lane, oldest):
        return 0.0
    if len(lane.backlog) >= batch.max_events or lane.gathered >= batch.max_bytes:
        return 0.0
    return max(0.0, oldest.held + batch.max_wait - now)


def take(lane: Lane) -> list[Job]:
    """Takes the deliveries of the next request out of a lane's backlog."""
    batch = lane.batch
    jobs = [first(lane)]
    if batch is None or alone(lane, jobs[0]):
        return jobs
    room = batch.max_bytes - len(jobs[0].received.event.data)
    while lane.backlog and len(jobs) < batch.max_events:
        following = lane.backlog[0]
        room -= len(following.received.event.data)
        if alone(lane, following) or room < 0:
            break
        jobs.append(first(lane))
    return jobs
