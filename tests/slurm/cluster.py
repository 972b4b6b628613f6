"""A real Slurm on this one machine, from Debian's packages: three nodes, two of them with GPUs that do nothing.

Needs root, `slurmctld`, `slurmd` and `munged`. Nothing runs through systemd; all files are in one folder, except the
link /etc/slurm/slurm.conf, which jobs need: Snakemake's plugin takes every SLURM_* variable from them, SLURM_CONF too.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

SYSTEM_CONF = Path("/etc/slurm/slurm.conf")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scancel", "squeue", "scontrol", "sinfo")
FREEZER = Path("/sys/fs/cgroup/freezer")
GPUS = 4
"""Of each of the two GPU nodes."""

CONF = """\
ClusterName=titok
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
# As on real clusters: signals reach the first process of a step only. Where there is no such cgroup, all of them.
ProctrackType=proctrack/{proctrack}
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
# More cores and memory than this machine has.
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=5,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobRequeue=1
# Finished jobs stay to be asked about.
MinJobAge=3600
KillWait=30
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName=gpu1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=16 RealMemory=64000 Gres=gpu:fake:{gpus}
NodeName=gpu2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=16 RealMemory=64000 Gres=gpu:fake:{gpus}
NodeName=cpu1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[3]} CPUs=16 RealMemory=64000
PartitionName=cpu Nodes=cpu1 Default=YES MaxTime=1-00:00:00 PriorityTier=10
PartitionName=gpu Nodes=gpu[1-2] MaxTime=2-00:00:00 PriorityTier=10 PreemptMode=REQUEUE
PartitionName=urgent Nodes=gpu[1-2] MaxTime=1-00:00:00 PriorityTier=20 PreemptMode=OFF
"""
NODES = ("gpu1", "gpu2", "cpu1")


def missing() -> str | None:
    """Why there can be no cluster here; None if there can."""
    if os.getuid() != 0:
        return "a Slurm cluster of one's own needs root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)}: apt-get install slurm-wlm munge"
    if (SYSTEM_CONF.exists() or SYSTEM_CONF.is_symlink()) and not is_left_over():
        return f"{SYSTEM_CONF} exists: this machine belongs to a cluster, or another test runs"
    return None


def is_left_over() -> bool:
    """Whether a test that was killed made the link: it leads to a temporary folder, and no cluster answers."""
    if not SYSTEM_CONF.is_symlink():
        return False
    is_temporary = SYSTEM_CONF.resolve().is_relative_to(Path(tempfile.gettempdir()).resolve())
    return is_temporary and not succeeds("scontrol", "ping")


class Job(NamedTuple):
    """A job as Slurm itself remembers it."""

    id: str
    facts: dict[str, str]

    @property
    def rule(self) -> str:
        """Snakemake's plugin writes the rule and its wildcards into the comment."""
        return self.facts.get("Comment", "").removeprefix("rule_").partition("_wildcards_")[0]

    @property
    def state(self) -> str:
        return self.facts["JobState"]


class Cluster:
    """A running cluster; commands find it because it is the machine's only one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self) -> None:
        """Writes the configuration and starts the daemons."""
        self._write()
        munge = self.folder / "munge"
        command("munged", "--force", f"--key-file={munge}/key", f"--socket={munge}/socket", f"--seed-file={munge}/seed",
                f"--pid-file={self.folder}/run/munged.pid", f"--log-file={self.folder}/log/munged.log")  # fmt: skip
        until(lambda: succeeds("munge", "--socket", f"{munge}/socket", "--no-input"), "munged answers")
        command("slurmctld", "-i", "-f", f"{self.folder}/slurm.conf")  # gres.conf and cgroup.conf lie beside it
        until(lambda: succeeds("scontrol", "ping"), "slurmctld answers")
        for node in NODES:
            command("slurmd", "-N", node, "-f", f"{self.folder}/slurm.conf")
        until(lambda: set(command("sinfo", "-h", "-N", "-o", "%T").split()) == {"idle"}, "all nodes are idle")

    def stop(self) -> None:
        """Ends all jobs and daemons."""
        if SYSTEM_CONF.is_symlink():
            with contextlib.suppress(subprocess.SubprocessError):
                command("scancel", "--user=root")
                until(lambda: not command("squeue", "-h").strip(), "all jobs have ended", seconds=60)
        for name in (*(f"slurmd-{node}" for node in NODES), "slurmctld", "munged"):
            end(self.folder / "run" / f"{name}.pid")
        if SYSTEM_CONF.is_symlink() and SYSTEM_CONF.resolve().parent == self.folder:
            SYSTEM_CONF.unlink()
        for group in sorted(FREEZER.glob("**/slurm_*"), reverse=True):  # what slurmd leaves behind
            with contextlib.suppress(OSError):
                group.rmdir()

    def jobs(self) -> list[Job]:
        """Every job since the start, the oldest first."""
        return [
            _job(line) for line in command("scontrol", "-o", "show", "job").splitlines() if line.startswith("JobId")
        ]

    def job(self, job_id: str) -> Job:
        """One job as it is now."""
        return _job(command("scontrol", "-o", "show", "job", job_id))

    def _write(self) -> None:
        for name in ("munge", "state", "log", "run", "devices", *(f"spool/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "munge").chmod(0o755)
        key = self.folder / "munge" / "key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o600)
        for index in range(GPUS):  # Slurm sets CUDA_VISIBLE_DEVICES for device files only: /dev/null under other names
            os.mknod(self.folder / "devices" / f"nvidia{index}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        devices = f"{self.folder}/devices/nvidia[0-{GPUS - 1}]"
        (self.folder / "gres.conf").write_text(f"NodeName=gpu[1-2] Name=gpu Type=fake File={devices}\n")
        has_freezer = os.access(FREEZER, os.W_OK)
        if has_freezer:
            text = "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\n"
            (self.folder / "cgroup.conf").write_text(text)
        text = CONF.format(
            host=socket.gethostname().partition(".")[0],
            folder=self.folder,
            ports=free_ports(4),
            gpus=GPUS,
            proctrack="cgroup" if has_freezer else "linuxproc",
        )
        (self.folder / "slurm.conf").write_text(text)
        SYSTEM_CONF.parent.mkdir(exist_ok=True)
        SYSTEM_CONF.unlink(missing_ok=True)
        SYSTEM_CONF.symlink_to(self.folder / "slurm.conf")


@contextlib.contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster while the block lasts."""
    cluster = Cluster(folder.resolve())
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def command(*words: str) -> str:
    """What a command prints; raises if it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise subprocess.SubprocessError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def succeeds(*words: str) -> bool:
    """Whether a command ends well."""
    return subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 0


def until(holds: Callable[[], object], what: str, seconds: float = 30, pause: float = 0.1) -> None:
    """Waits for something; fails with its name."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(pause)


def end(pid_file: Path) -> None:
    """Ends the daemon of a pid file."""
    if not pid_file.exists() or not (text := pid_file.read_text().strip()):
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(text), signal.SIGTERM)
        until(lambda: has_ended(text), f"process {text} of {pid_file.name} has ended")


def has_ended(process: str) -> bool:
    """Whether a process works no more; in containers, nobody may ask for its exit status."""
    try:
        return Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def free_ports(number: int) -> list[int]:
    """Ports nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _job(line: str) -> Job:
    facts = dict(word.partition("=")[::2] for word in line.split() if "=" in word)
    return Job(facts["JobId"], facts)
