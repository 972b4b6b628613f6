"""``titok doctor``: is this installation whole, and does it compute what the released code computes?"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from titok.commands.doctor_golden import (
    Finding,
    check_generator,
    check_published_image,
    check_quantizer,
    check_tokenizer,
)
from titok.models.hub import load
from titok.models.tokenizer import TiTok
from titok.runtime.device import describe_device, select_device
from titok.runtime.files import FileError
from titok.runtime.weights import WeightsError

DISTRIBUTION = "titok-suite"
LOCK = Path(__file__).parents[2] / "requirements.lock"
L32 = {"num_latent_tokens": 32, "codebook_size": 4096, "image_size": 256}


def doctor(options: argparse.Namespace) -> None:
    """Prints every finding; exit status 1 if one of them failed."""
    device = select_device(options.device)
    findings = list(_findings(options, device))
    failed = sum(finding.status == "fail" for finding in findings)
    if options.json:
        document = {"ok": failed == 0, "device": describe_device(device), "findings": [asdict(f) for f in findings]}
        print(json.dumps(document, indent=2))
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            print(f"{finding.status:4}  {finding.check:{width}}  {finding.detail}")
        print(f"\n{failed} of {len(findings)} checks failed" if failed else "\nThis installation is in order")
    if failed:
        sys.exit(1)


def _findings(options: argparse.Namespace, device: torch.device) -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}")
    yield check_packages()
    yield check_lock(LOCK)
    yield check_device(device)
    for kind in ("vit", "uvit"):
        yield from check_generator(kind, device)
    for case in ("l2", "nol2"):
        yield check_quantizer(case, device)
    if options.full:
        yield check_tokenizer(device)
    if options.image and options.weights is None:
        yield Finding("published tokens", "fail", "--image needs --weights, the folder or file of TiTok-L-32")
    elif options.weights is not None:
        yield from check_weights(options.weights, options.config, options.image, device)


def check_packages(distribution: str = DISTRIBUTION, installed: Callable[[str], str] = version) -> Finding:
    """Every package that this one needs is there in a version that it allows."""
    try:
        wanted = [Requirement(text) for text in requires(distribution) or ()]
    except PackageNotFoundError:
        return Finding("packages", "fail", f"{distribution} is not installed; run `pip install -e .` in its checkout")
    needed = [entry for entry in wanted if entry.marker is None or entry.marker.evaluate({"extra": ""})]
    problems = []
    for entry in needed:
        try:
            found = installed(entry.name)
        except PackageNotFoundError:
            problems.append(f"{entry.name} is missing ({entry.specifier} needed)")
            continue
        if not entry.specifier.contains(found, prereleases=True):
            problems.append(f"{entry.name} is {found}, {entry.specifier} needed")
    if problems:
        return Finding("packages", "fail", "; ".join(problems))
    return Finding("packages", "ok", f"all {len(needed)} needed ones, torch {installed('torch')}")


def check_lock(lock: Path, installed: Callable[[str], str] = version) -> Finding:
    """Which packages have another version than the one everything was tested with."""
    if not lock.is_file():
        return Finding("lock", "warn", f"{lock.name} is not beside the package; tested versions are unknown")
    direct = {canonicalize_name(Requirement(text).name) for text in requires(DISTRIBUTION) or ()}
    differing = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        if "==" not in line or line.startswith((" ", "#")):
            continue
        pin = Requirement(line.rstrip(" \\"))
        if canonicalize_name(pin.name) not in direct or (pin.marker and not pin.marker.evaluate()):
            continue
        try:
            found = installed(pin.name)
        except PackageNotFoundError:
            continue  # optional, or told by `check_packages`
        if not pin.specifier.contains(found, prereleases=True):
            differing.append(f"{pin.name} {found} instead of {next(iter(pin.specifier)).version}")
    if differing:
        return Finding("lock", "warn", f"not the tested versions: {', '.join(differing)}")
    return Finding("lock", "ok", "the tested versions")


def check_device(device: torch.device) -> Finding:
    """A matrix product in float32 is as exact as float32 allows, and finite in bfloat16."""
    draws = torch.Generator().manual_seed(0)
    left, right = (torch.randn(256, 256, generator=draws) for _ in range(2))
    exact = left.double() @ right.double()
    error = float(((left.to(device) @ right.to(device)).cpu().double() - exact).abs().max() / exact.abs().max())
    coarse = (left.to(device, torch.bfloat16) @ right.to(device, torch.bfloat16)).isfinite().all()
    facts = ", ".join(f"{key} {value}" for key, value in describe_device(device).items())
    if error > 1e-5 or not coarse:
        return Finding("device", "fail", f"matrix products are off by {error:.1e} ({facts})")
    return Finding("device", "ok", facts)


def check_weights(source: str, config: Path | None, images: Iterable[Path], device: torch.device) -> Iterator[Finding]:
    """The real TiTok-L-32 gives the published tokens of the published images."""
    try:
        model = load(source, config=config, device=device)
    except (FileError, WeightsError) as error:
        yield Finding("weights", "fail", str(error))
        return
    if not isinstance(model, TiTok) or any(getattr(model.config, key) != value for key, value in L32.items()):
        yield Finding("weights", "fail", f"{source} is no TiTok-L-32, which the published tokens are from")
        return
    yield Finding("weights", "ok", f"{source}: {sum(weight.numel() for weight in model.parameters()):,} numbers")
    for image in images:
        yield check_published_image(model, image, device)
