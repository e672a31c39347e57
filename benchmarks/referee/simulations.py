"""The four simulations; each returns a row of plain values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.referee.worlds import DEVIATION, SCORE, World, equal, measured
from rung.evaluate.intervals import exact_bounds
from rung.study.curse import Decided, expected_fall
from rung.study.measured import Floats, Measured
from rung.study.power import noise_of, seeds_needed, smallest_difference
from rung.study.referee import compared, hopeless, judge, pooled


def raced(start: Measured, candidates: list[Measured]) -> list[Measured]:
    """Return the candidates after racing seed by seed, those dropped cut to the seeds they had."""
    alone, running = replace(start, images=None), [replace(candidate, images=None) for candidate in candidates]
    for count in range(2, len(start.seeds)):
        seeds = start.seeds[:count]
        so_far = [candidate.take(candidate.seeds[:count]) for candidate in running]
        gone = hopeless(alone.take(seeds), so_far, seeds=len(start.seeds))
        running = [candidate.take(seeds) if candidate.name in gone else candidate for candidate in running]
    return [candidate.take(short.seeds) for candidate, short in zip(candidates, running, strict=True)]


def false_climbs(world: World, *, ladders: int, seed: int = 0, steps: int = 6, candidates: int = 4, seeds: int = 5, racing: bool = True) -> dict[str, Any]:
    """Climb ladders on which nothing is better than anything else; found: the share of ladders that climb, with its exact 95 % interval."""
    rng = np.random.default_rng(seed)
    climbed, saved = 0, 0
    for _ in range(ladders):
        draw = world(rng, seeds)
        networks = draw(1 + candidates)
        start = measured("start", networks[0])
        climbs = 0
        for step in range(1, steps + 1):
            drawn = networks[1:] if step == 1 else draw(candidates)
            entrants = [measured(f"{step}.{number}", scores) for number, scores in enumerate(drawn)]
            entrants = raced(start, entrants) if racing else entrants
            saved += sum(seeds - len(candidate.seeds) for candidate in entrants)
            kept = judge(start, entrants, step=step).kept
            climbs += kept != start.name
            start = next(network for network in [start, *entrants] if network.name == kept)
        climbed += climbs > 0
    low, high = exact_bounds(climbed, ladders, 0.95)
    runs = ladders * steps * candidates * seeds
    return {
        **{"steps": steps, "candidates": candidates, "seeds": seeds, "ladders": ladders, "racing": racing},
        **{"found": climbed / ladders, "low": low, "high": high, "runs_saved": saved / runs},
    }


def coverage(world: World, *, simulations: int, seed: int = 0, candidates: int = 4, seeds: int = 5) -> dict[str, Any]:
    """Judge steps in which every true difference is 0; found: how many of the intervals at 95 % hold it, of all and of the worst candidate."""
    rng = np.random.default_rng(seed)
    held = np.zeros((simulations, candidates))
    together = np.zeros(simulations)
    for row in range(simulations):
        networks = [measured(str(number), scores) for number, scores in enumerate(world(rng, seeds)(1 + candidates))]
        pool = pooled(networks[0], networks[1:])
        found = [compared(networks[0], candidate, pool, 0.05) for candidate in networks[1:]]
        held[row] = [difference.low <= 0 <= difference.high for difference in found]
        shared = [compared(networks[0], candidate, pool, 0.05 / candidates) for candidate in networks[1:]]
        together[row] = all(difference.low <= 0 <= difference.high for difference in shared)
    return {
        **{"candidates": candidates, "seeds": seeds, "simulations": simulations, "covers": found[0].covers},
        **{"found": float(held.mean()), "worst": float(held.mean(axis=0).min()), "together": float(together.mean())},
    }


def foretold(world: World = equal, *, pilots: int, trials: int, seed: int = 0, pilot_seeds: int = 5, candidates: int = 4, seeds: int = 5) -> dict[str, Any]:
    """Take each pilot's own smallest difference, foretold to be seen in 80 % of trials; found: how often the referee sees it, on the mean over pilots."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(pilots):
        difference = smallest_difference(noise_of(measured("pilot", world(rng, pilot_seeds)(1)[0])), seeds, candidates=candidates).value
        found.append(np.mean([_seen(world, rng, difference, candidates, seeds) for _ in range(trials)]))
    return {
        **{"asked": "smallest difference", "pilots": pilots, "trials": trials, "pilot_seeds": pilot_seeds, "candidates": candidates, "seeds": seeds},
        **{"foretold": 0.8, "found": float(np.mean(found))},
    }


def seeds_foretold(*, pilots: int, trials: int, difference: float, seed: int = 0, pilot_seeds: int = 5, candidates: int = 4, most: int = 200) -> dict[str, Any]:
    """The same for the number of seeds: each pilot's own, for 80 %. Where a pilot asks for more than `most`, it is run with `most`."""
    rng = np.random.default_rng(seed)
    asked, found = [], []
    for _ in range(pilots):
        noise = noise_of(measured("pilot", equal(rng, pilot_seeds)(1)[0]))
        seeds = int(min(seeds_needed(noise, difference, candidates=candidates).value, most))
        asked.append(seeds)
        found.append(np.mean([_seen(equal, rng, difference, candidates, seeds) for _ in range(trials)]))
    return {
        **{"asked": f"seeds for {100 * difference:.1f} points", "pilots": pilots, "trials": trials, "pilot_seeds": pilot_seeds, "candidates": candidates},
        **{"seeds": float(np.median(asked)), "foretold": 0.8, "found": float(np.mean(found))},
    }


def _seen(world: World, rng: np.random.Generator, difference: float, candidates: int, seeds: int) -> bool:
    scores = world(rng, seeds)(1 + candidates)
    if scores.ndim == 2:
        scores[1] += difference
    else:  # so many of the wrong answers become right
        scores[1] = np.maximum(scores[1], rng.random(scores[1].shape) < difference / (1 - scores[1].mean()))
    networks = [measured(str(number), one) for number, one in enumerate(scores)]
    return judge(networks[0], networks[1:], step=1, tie_margin=0.0).differences[0].verdict == "better"


def fall(*, ladders: int, spread: float, candidates: int, steps: int, rule: str, seed: int = 0, seeds: int = 5, deviation: float = DEVIATION) -> dict[str, Any]:
    """Climb ladders whose effects have a true spread; bias: of the kept one's score, as it is and as it is expected after the correction.

    rule: "referee", or "highest": whoever's mean is highest is kept. A negative spread: one effect in ten is that large (upwards), the others are none.
    """
    rng = np.random.default_rng(seed)
    raw, corrected, held = [], [], []
    for _ in range(ladders):
        true, decided = SCORE, []
        start = measured("start", true + deviation * rng.standard_normal(seeds))
        for step in range(1, steps + 1):
            truths = true + _effects(rng, spread, candidates)
            entrants = tuple(
                measured(f"{step}.{number}", scores) for number, scores in enumerate(truths[:, None] + deviation * rng.standard_normal((candidates, seeds)))
            )
            kept = judge(start, entrants, step=step).kept if rule == "referee" else max([start, *entrants], key=lambda network: network.mean).name
            decided.append(Decided(start, entrants, kept))
            for network, truth in zip(entrants, truths, strict=True):
                if network.name == kept:
                    start, true = replace(network), float(truth)
        found = expected_fall(decided)
        raw.append(found.score - true)
        corrected.append(found.expected - true)
        held.append(found.low <= found.score - true <= found.high)
    return {
        **{"rule": rule, "candidates": candidates, "steps": steps, "seeds": seeds, "deviation": deviation, "spread": spread, "ladders": ladders},
        **{"raw": float(np.mean(raw)), "corrected": float(np.mean(corrected)), "error": float(np.std(corrected) / ladders**0.5), "held": float(np.mean(held))},
    }


def _effects(rng: np.random.Generator, spread: float, candidates: int) -> Floats:
    if spread < 0:
        return np.where(rng.random(candidates) < 0.1, -spread, 0.0)
    return spread * rng.standard_normal(candidates)
