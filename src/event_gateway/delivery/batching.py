"""Which of the deliveries that wait in a lane go into one request, and when."""

from event_gateway.delivery.lane import Job, Lane


def wait(lane: Lane, now: float) -> float:
    """For how many seconds from ``now`` (the loop's clock) a lane's next request still waits for
    more events; 0 where it is complete. There must be one that waits."""
    batch, first = lane.batch, lane.backlog[0]
    if batch is None or first.delivery.attempts or first.delivery.probe:
        return 0.0
    if len(lane.backlog) >= batch.max_events:
        return 0.0
    left = first.held + batch.max_wait - now
    return 0.0 if lane.gathered >= batch.max_bytes else max(0.0, left)


def hold(lane: Lane, job: Job, now: float) -> None:
    """Puts a delivery behind those that wait."""
    job.held = now
    lane.gathered += len(job.received.event.data)
    lane.backlog.append(job)


def take(lane: Lane) -> list[Job]:
    """Takes the deliveries of the next request out of a lane's backlog.

    What has failed goes alone, so that one that is refused holds up no other.
    """
    batch = lane.batch
    jobs = [lane.backlog.popleft()]
    if batch is None:
        return jobs
    size = len(jobs[0].received.event.data)
    if not (jobs[0].delivery.attempts or jobs[0].delivery.probe):
        while lane.backlog and len(jobs) < batch.max_events:
            following = lane.backlog[0]
            more = len(following.received.event.data)
            if following.delivery.attempts or size + more > batch.max_bytes:
                break
            jobs.append(lane.backlog.popleft())
            size += more
    lane.gathered = max(0, lane.gathered - size) if lane.backlog else 0
    return jobs
