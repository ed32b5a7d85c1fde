"""The work of compare_peers.sh: runs mtcmcn and its peers in turn, several rounds, and prints ratios of medians beside bars and aims.

A ratio is our median time over the peer's in the same rounds, so that what slows the machine slows both. The middle of the rounds counts.
"""
import argparse, json, os, platform, shlex, statistics, subprocess, sys, time
from pathlib import Path

PREFIX = shlex.split(os.environ.get("MTCMCN_RUN", ""))


def arguments():
    parser = argparse.ArgumentParser(prog="compare_peers.sh", description="mtcmcn beside other programs on one frame")
    parser.add_argument("--bin", required=True, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--peers", required=True, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--frames", required=True, type=Path, help="folder with group_640x480.png and group_1280x720.png")
    parser.add_argument("--rounds", type=int, default=3, help="rounds in turn (default 3)")
    parser.add_argument("--device", default="vulkan", help="adapter of the GPU rows (default vulkan; without hardware that is lavapipe)")
    parser.add_argument("--only", default="", help="rows to run, by the names in the first column, separated by commas; "
                        "flight, latency and cuda are for a hardware GPU and run only if named here")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    return parser.parse_args()


def run(command, **environment):
    """The JSON objects that a timed command prints."""
    whole = PREFIX + [str(part) for part in command]
    done = subprocess.run(whole, capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode:
        sys.exit(f"compare_peers: {shlex.join(whole)} failed:\n{done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


FACENET_ON = """
import json, statistics, sys, time
import numpy as np, torch
from PIL import Image
from facenet_pytorch import MTCNN
device, frame, min_face, n = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
detector = MTCNN(keep_all=True, min_face_size=min_face, thresholds=[.6, .7, .7], factor=.709, device=device)
image = np.array(Image.open(frame).convert("RGB"))
times = []
for i in range(n + 10):
    start = time.perf_counter()
    boxes, _, _ = detector.detect(image, landmarks=True)  # its results are on the host: nothing is left to wait for
    if i >= 10:
        times.append(1e3 * (time.perf_counter() - start))
print(json.dumps(dict(peer="facenet-pytorch", device=device, torch=torch.__version__, median_ms=statistics.median(times),
                      faces=0 if boxes is None else len(boxes))))
"""


class Machine:
    def __init__(self, args):
        self.args = args
        self.small, self.large = (args.frames / f"group_{size}.png" for size in ("640x480", "1280x720"))
        for frame in (self.small, self.large):
            if not frame.exists():
                sys.exit(f"compare_peers: no frame {frame}; name the folder with --frames or MTCMCN_FRAMES")
        self.log = []

    def bench(self, frame, min_face, device="cpu", threads=2, frames=30, size=None, warm_up=5, kind="setting"):
        command = [self.args.bin, "--quiet", "bench", "--json", "--device", device, "--threads", threads, "--min-face", min_face,
                   "--frames", frames, "--warm-up", warm_up, "--starts", 0, frame]
        said = run(command + (["--size", size] if size else []))
        self.log += said
        return [one for one in said if one["kind"] == kind]

    def ours(self, *args, **options):
        return self.bench(*args, **options)[0]

    def peer(self, script, frame, min_face, threads=2, n=10, extra=()):
        command = [sys.executable, self.args.peers / script, "--frame", frame, "--minsize", min_face, "--threads", threads, "--n", n,
                   "--warm", 3, *extra]
        [said] = run(command, BENCH_WAIT="0")
        self.log.append({"kind": "peer", **said})
        return said

    def facenet(self, *args, **options):
        return self.peer("bench_facenet_pytorch.py", *args, **options)

    def facenet_on(self, torch_device, frame, min_face, n=50):
        """facenet-pytorch on a device of PyTorch's: the peers' own script knows the CPU only."""
        [said] = run([sys.executable, "-c", FACENET_ON, torch_device, frame, min_face, n])
        self.log.append({"kind": "peer", **said})
        return said


def ratio(machine, ours, peer):
    """Medians of both over the rounds, in turn, and the median of the rounds' ratios."""
    pairs = []
    for _ in range(machine.args.rounds):
        theirs = peer()["median_ms"]
        pairs.append((ours()["latency_ms"]["p50"], theirs))
    middle = statistics.median(a / b for a, b in pairs)
    a, b = (statistics.median(values) for values in zip(*pairs))
    return middle, f"{a:.1f} : {b:.1f} ms"


def detect(machine):
    """Wall time and peak memory of whole `detect` processes: medians of start to end, and the most memory."""
    child = ("import json, resource, subprocess, sys, time; t = time.perf_counter(); "
             "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode; s = time.perf_counter() - t; "
             "print(json.dumps(dict(ms=1e3 * s, mib=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, code=code)))")
    command = [sys.executable, "-c", child, machine.args.bin, "--quiet", "detect", "--device", "cpu", machine.small]
    done = [run(command)[0] for _ in range(max(5, machine.args.rounds))]
    if any(one["code"] for one in done):
        sys.exit("compare_peers: `detect` found nothing or failed")
    return statistics.median(one["ms"] for one in done), max(one["mib"] for one in done)


def growth(machine, device, frames):
    """How far the farthest time is off the nearest line over pyramid pixels, relative to the time; and the line."""
    sizes = "640x480,1280x720,1920x1080,2560x1440,3840x2160"
    rounds = [machine.bench(machine.small, 20, device, frames=frames, size=sizes, warm_up=1, kind="growth")[0] for _ in range(machine.args.rounds)]
    middle = sorted(rounds, key=lambda one: one["worst"])[len(rounds) // 2]
    times = " ".join(f"{ms:.0f}" for ms in middle["ms"])
    return middle["worst"], f"{times} ms = {middle['fixed_ms']:.1f} ms + {middle['ns_per_pixel']:.1f} ns a pyramid pixel"


def rows(machine):
    """Name, what it is, bar, aim, and how to find out: figure and detail."""
    args, small, large = machine.args, machine.small, machine.large
    def against(frame, min_face, threads, device="cpu", frames=30):
        return lambda: ratio(machine, lambda: machine.ours(frame, min_face, device, threads, frames),
                             lambda: machine.facenet(frame, min_face, threads))
    def card(key):
        one = machine.ours(small, 20, args.device, frames=300, warm_up=50)
        if key == "p50":
            return one["latency_ms"]["p50"], f"p90 {one['latency_ms']['p90']:.2f} ms, p99 {one['latency_ms']['p99']:.2f} ms"
        return 1e3 / one["in_flight"]["fps"], f"{one['in_flight']['fps']:.0f} frames/s"
    yunet = ("--model", args.peers / "yunet_n_640.onnx")
    asked = lambda: machine.ours(small, 20, device=args.device, frames=3)["per_frame"]
    per_frame = lambda: (lambda p: (p["dispatches"], f"{p['dispatches']} / {p['submissions']} / {p['read_backs']}"))(asked())
    processes = []
    def process(which, unit):
        if not processes:
            processes.append(detect(machine))
        return processes[0][which], unit
    return [
        ("min20", "CPU engine, min face 20, 2 threads : facenet-pytorch", 0.23, 0.15, against(small, 20, 2)),
        ("min40", "CPU engine, min face 40, 2 threads : facenet-pytorch", 0.16, 0.10, against(small, 40, 2)),
        ("720p", "CPU engine, 1280x720, min face 20, 2 threads : facenet-pytorch", 0.30, 0.15, against(large, 20, 2, frames=15)),
        ("1thread", "CPU engine, min face 20, 1 thread : facenet-pytorch, 1 thread", 0.28, 0.18, against(small, 20, 1)),
        ("gpu", f"{args.device}, min face 20 : facenet-pytorch, 2 threads", 1.3, 0.9, against(small, 20, 2, args.device, 10)),
        ("yunet", "CPU engine, min face 20, 2 threads : OpenCV YuNet (another network)", None, None,
         lambda: ratio(machine, lambda: machine.ours(small, 20), lambda: machine.peer("bench_opencv_yunet.py", small, 20, 2, 20, yunet))),
        ("memory", "peak memory of `detect`, CPU engine, MiB", 120, 60, lambda: process(1, "MiB")),
        ("start", "process start to first faces, CPU engine, ms", 150, 60, lambda: process(0, "ms, to the process's end")),
        ("calls", "dispatches / submissions / read-backs per frame", 32, 24, per_frame),
        ("growth-cpu", "CPU engine: times off a line in pyramid pixels, to 3840x2160", 0.20, None, lambda: growth(machine, "cpu", 5)),
        ("growth-gpu", f"{args.device}: the same", 0.20, None, lambda: growth(machine, args.device, 1)),
        ("flight", f"{args.device}, min face 20: ms a frame with 3 in flight", 0.5, None, lambda: card("fps")),
        ("latency", f"{args.device}, min face 20: p50 of a frame alone, ms", 1.0, None, lambda: card("p50")),
        ("cuda", f"{args.device}, min face 20 : facenet-pytorch on CUDA", 0.05, None,
         lambda: ratio(machine, lambda: machine.ours(small, 20, args.device, frames=300, warm_up=50), lambda: machine.facenet_on("cuda", small, 20))),
    ]


# What only a hardware GPU can meet.
CARD = ("flight", "latency", "cuda")


def main():
    args = arguments()
    machine = Machine(args)
    version = subprocess.run([args.bin, "--version"], capture_output=True, text=True).stdout.strip()
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.processor()) \
        if os.path.exists("/proc/cpuinfo") else platform.processor()
    print(f"{version} on {cpu}, {os.cpu_count()} cores; {machine.small.name} and {machine.large.name}, factor 0.709, thresholds .6 .7 .7;")
    print(f"figures are medians over {args.rounds} rounds in turn; smaller is better everywhere\n")
    print(f"{'row':11} {'measure':66} {'here':>8} {'bar':>6} {'aim':>6}  {'':7} detail")
    wanted = [name for name in args.only.split(",") if name]
    table = rows(machine)
    unknown = set(wanted) - {row[0] for row in table}
    if unknown:
        sys.exit(f"compare_peers: no row {', '.join(sorted(unknown))}; there are {', '.join(row[0] for row in table)}")
    results = []
    for name, measure, bar, aim, find in table:
        if name not in wanted if wanted else name in CARD:
            continue
        here, detail = find()
        verdict = "" if bar is None else "aim met" if aim is not None and here <= aim else "bar met" if here <= bar else "MISSED"
        number = lambda value: "-" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"
        print(f"{name:11} {measure:66} {number(here):>8} {number(bar):>6} {number(aim):>6}  {verdict:7} {detail}", flush=True)
        results.append(dict(row=name, measure=measure, here=here, bar=bar, aim=aim, verdict=verdict, detail=detail))
    if args.json:
        args.json.write_text(json.dumps(dict(time=time.strftime("%F %T"), machine=cpu, rows=results, runs=machine.log), indent=1))


main()
