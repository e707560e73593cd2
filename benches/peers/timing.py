"""How a peer is timed: warm up, then the median of repetitions that fill a time budget."""

import time
from statistics import median


def measure(run, seconds, least=5):
    """Median seconds of one `run()`, over as many calls as fit `seconds` and never fewer than `least`."""
    start = time.perf_counter()
    run()
    while time.perf_counter() - start < 0.2 * seconds:
        run()
    samples, end = [], time.perf_counter() + seconds
    while len(samples) < least or time.perf_counter() < end:
        at = time.perf_counter()
        run()
        samples.append(time.perf_counter() - at)
    return median(samples)
