"""A Slurm cluster of one node on this machine, of daemons that run as whoever starts it.

`python tests/slurm/cluster.py COMMAND…` runs a command on it, with `SLURM_CONF` set, and takes it down again.
"""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

#: Daemons, and what ends them with the process that started them, however that ends.
PROGRAMS = ("munged", "slurmctld", "slurmd", "setpriv")
#: Debian has daemons where only root looks.
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
CONFIGURATION = """\
ClusterName=srlab
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
KillWait=2
NodeName={node} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=local Nodes={node} Default=YES MaxTime=60 State=UP
"""


def missing() -> list[str]:
    """The programs that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Start a cluster that keeps its files in a folder; yields the environment in which its commands work."""
    folder = folder.resolve()  # the path of a configuration must be absolute
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    key, config = folder / "munge.key", folder / "slurm.conf"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    config.write_text(
        CONFIGURATION.format(
            node=socket.gethostname().partition(".")[0],
            ports=_free_ports(2),
            user=getpass.getuser(),
            folder=folder,
            cores=os.cpu_count(),
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        )
    )
    # Snakemake's plugin calls the inner srun without SLURM_CONF, for clusters have theirs in /etc/slurm.
    srun = folder / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={config} exec {shutil.which("srun", path=PATH)} "$@"\n')
    srun.chmod(0o755)
    environment = {**os.environ, "PATH": f"{srun.parent}{os.pathsep}{PATH}", "SLURM_CONF": str(config)}
    files = {name: folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
    options = [f"--{option}-file={files[name]}" for option, name in (("pid", "pid"), ("log", "log"), ("seed", "seed"))]
    munged = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={files['socket']}", *options]
    with ExitStack() as stack:
        stack.enter_context(_running(munged, environment, folder))
        _wait(files["socket"].exists, folder, "munged")
        stack.enter_context(_running(["slurmctld", "-D"], environment, folder))
        _wait(lambda: "UP" in _told(["scontrol", "ping"], environment), folder, "slurmctld")
        stack.enter_context(_running(["slurmd", "-D"], environment, folder))
        _wait(lambda: "idle" in _told(["sinfo", "--noheader", "--format=%t"], environment), folder, "slurmd")
        try:
            yield environment
        finally:
            subprocess.run(["scancel", "--full", "--user", getpass.getuser()], env=environment, check=False)
            _wait(lambda: not _told(["squeue", "--noheader"], environment), folder, "slurmd")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def _running(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[None]:
    """A daemon in the foreground, ended with the block."""
    with (folder / f"{command[0]}.out").open("wb") as out:
        tied = ["setpriv", "--pdeathsig", "TERM", *command]
        process = subprocess.Popen(tied, env=environment, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _told(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def _wait(ready, folder: Path, daemon: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob(f"{daemon}.*o*")))
            raise RuntimeError(f"{daemon} is not ready:\n{logs}")
        time.sleep(0.1)


if __name__ == "__main__":
    with TemporaryDirectory(prefix="slurm-") as temporary, cluster(Path(temporary)) as found:
        sys.exit(subprocess.run(sys.argv[1:], env=found, check=False).returncode)
