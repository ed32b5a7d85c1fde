#!/usr/bin/env python3
"""Golden figures of `mtcmcn eval`: a second implementation, written from the protocols' text. Needs numpy; with a data folder also scipy.

    python3 tools/golden_eval.py [DATA]

Writes tests/fixtures/golden_eval.json. Annotations and detections are made up by a rule that the Rust side (tests/support/synthetic.rs)
follows too: a stream of SplitMix64, whole numbers of eighths of a pixel, scores in 4096ths, so that both sides hold the very same numbers.

DATA is a folder with protocols/wider_face_split and protocols/fddb. With it, the figures of made-up detections on the real WIDER FACE
validation set and of a published run on FDDB are computed too; without it, those in the file are kept.

Nothing here is fast or clever: masks are drawn pixel by pixel, assignments are found by trying all.
"""

import json
import math
import pathlib
import sys

import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/fixtures/golden_eval.json"
M64 = (1 << 64) - 1


class Stream:
    """SplitMix64 (Steele, Lea and Flood 2014)."""

    def __init__(self, seed):
        self.state = seed

    def pick(self, n):
        """Uniform in 0 .. n-1, near enough."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & M64
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
        return ((z ^ (z >> 31)) >> 33) % n


# ---- made-up sets. Boxes are x, y, width, height in eighths.


def made_up_faces(stream):
    """Images of faces, each with a box, a degree of occlusion, an easiness 0..3 and whether it is flagged."""
    images = []
    for _ in range(40):
        faces = []
        for _ in range(stream.pick(13)):
            box = [stream.pick(6400), stream.pick(4800), 64 + stream.pick(1200), 64 + stream.pick(1200)]
            faces.append({"box": box, "occlusion": stream.pick(3), "easiness": stream.pick(4), "invalid": stream.pick(16) == 0})
        images.append(faces)
    return images


def shifted(stream, box):
    x, y, w, h = box
    return [x + w * (stream.pick(17) - 8) // 32, y + h * (stream.pick(17) - 8) // 32, w, h]


KINDS = ["truth", "shifted", "doubled", "random"]


def detections(kind, stream, boxes):
    """Boxes with scores in 4096ths, unsorted, of one image."""
    found = []
    for box in boxes:
        if kind == "truth":
            found.append((box, 4096))
        elif kind == "shifted":
            found.append((shifted(stream, box), 1 + stream.pick(4096)))
        elif kind == "doubled":
            found.append((box, 1 + stream.pick(4096)))
            found.append((shifted(stream, box), 1 + stream.pick(4096)))
        elif kind == "random" and stream.pick(3) > 0:
            found.append((shifted(stream, box), 1 + stream.pick(64)))
    if kind == "random":
        for _ in range(stream.pick(8)):
            found.append(([stream.pick(6400), stream.pick(4800), 64 + stream.pick(800), 64 + stream.pick(800)], 1 + stream.pick(64)))
    return [([v / 8 for v in box], score / 4096) for box, score in found]


def by_score(found):
    return sorted(found, key=lambda one: -one[1])  # stable


# ---- WIDER FACE


def overlaps_plus_one(box, boxes):
    boxes = np.asarray(boxes, dtype=float)
    x1, y1, x2, y2 = box[0], box[1], box[0] + box[2], box[1] + box[3]
    a1, b1, a2, b2 = boxes[:, 0], boxes[:, 1], boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]
    w = np.maximum(0, np.minimum(x2, a2) - np.maximum(x1, a1) + 1)
    h = np.maximum(0, np.minimum(y2, b2) - np.maximum(y1, b1) + 1)
    inter = w * h
    return inter / ((x2 - x1 + 1) * (y2 - y1 + 1) + (a2 - a1 + 1) * (b2 - b1 + 1) - inter)


def wider_ap(images, found, rounded):
    """images: per image (boxes, counted). Returns counted faces and AP."""
    scores = [score for one in found for _, score in one]
    low, high = min(scores), max(scores)
    table = np.zeros((1000, 2))
    for (boxes, counted), one in zip(images, found):
        if not one or not len(boxes):
            continue
        one = by_score(one)
        normal = np.array([(score - low) / (high - low) if high > low else 1.0 for _, score in one])
        state = np.zeros(len(boxes), dtype=int)
        proposal, recalled = [], []
        for box, _ in one:
            overlap = overlaps_plus_one(box, boxes)
            if rounded:
                overlap = np.floor(overlap + 0.5)
            best = int(np.argmax(overlap))
            good = 1
            if overlap[best] >= 0.5:
                if not counted[best]:
                    good = -1
                elif state[best] == 0:
                    state[best] = 1
            proposal.append(good)
            recalled.append(int(np.sum(state == 1)))
        proposals = np.concatenate(([0], np.cumsum(np.array(proposal) == 1)))
        recalled = np.concatenate(([0], recalled))
        thresholds = np.array([1 - (t + 1) / 1000 for t in range(1000)])
        passing = np.sum(normal[None, :] >= thresholds[:, None], axis=1)  # sorted, so these are the first
        table[:, 0] += proposals[passing]
        table[:, 1] += recalled[passing]
    faces = int(sum(np.sum(counted) for _, counted in images))
    precision = np.divide(table[:, 1], table[:, 0], out=np.zeros(1000), where=table[:, 0] > 0)
    return faces, voc_area(table[:, 1] / faces, precision)


def voc_area(recall, precision):
    recall = np.concatenate(([0.0], recall, [1.0]))
    precision = np.concatenate(([0.0], precision, [0.0]))
    for i in range(len(precision) - 1, 0, -1):
        precision[i - 1] = max(precision[i - 1], precision[i])
    steps = np.where(recall[1:] != recall[:-1])[0]
    return float(np.sum((recall[steps + 1] - recall[steps]) * precision[steps + 1]))


def wider_cases(images_by_setting, boxes, seed):
    cases = []
    for kind in KINDS:
        stream = Stream(seed)
        found = [detections(kind, stream, one) for one in boxes]
        for setting, images in images_by_setting.items():
            for rounded in (False, True):
                faces, ap = wider_ap(images, found, rounded)
                cases.append({"kind": kind, "setting": setting, "rounded": rounded, "faces": faces, "ap": ap})
                print(cases[-1])
    return cases


# ---- boxes


def plain_iou(a, b):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    inter = max(0, w) * max(0, h)
    return inter / (a[2] * a[3] + b[2] * b[3] - inter)


def box_curve(images, found, wanted, fits, at_least):
    """Right and wrong by score: greedy, each to the best free face, then to an ignored one."""
    outcomes, faces = [], 0
    for truth, one in zip(images, found):
        asked = [wanted(face) for face in truth]
        faces += sum(asked)
        free = [True] * len(truth)
        for box, score in by_score(one):
            overlap = [plain_iou(box, [v / 8 for v in face["box"]]) for face in truth]
            good = [(-overlap[i], i) for i in range(len(truth)) if asked[i] and free[i] and overlap[i] >= at_least]
            if good:
                free[min(good)[1]] = False
                outcomes.append((score, 1))
            elif any(not asked[i] and overlap[i] >= at_least for i in range(len(truth))):
                pass
            elif fits(box):
                outcomes.append((score, 0))
    return faces, outcomes


def box_figures(faces, outcomes, false_positives):
    recall, precision, counts = [], [], []
    for threshold in sorted({score for score, _ in outcomes}, reverse=True):
        right = sum(one for score, one in outcomes if score >= threshold)
        every = sum(1 for score, _ in outcomes if score >= threshold)
        recall.append(right / faces)
        precision.append(right / every)
        counts.append((every - right, right / faces))
    at = [max([rate for wrong, rate in counts if wrong <= limit], default=0.0) for limit in false_positives]
    return voc_area(np.array(recall), np.array(precision)), at


def box_cases(images):
    parts = {
        "all": (lambda face: True, lambda box: True),
        "height 32 96": (lambda face: 32 <= face["box"][3] / 8 < 96, lambda box: 32 <= box[3] < 96),
        "occlusion 2": (lambda face: face["occlusion"] == 2, lambda box: True),
    }
    cases = []
    for kind in KINDS:
        stream = Stream(77)
        found = [detections(kind, stream, [face["box"] for face in one]) for one in images]
        for part, (asked, fits) in parts.items():
            wanted = lambda face: asked(face) and not face["invalid"]
            faces, outcomes = box_curve(images, found, wanted, fits, 0.5)
            ap, recalls = box_figures(faces, outcomes, [0, 10, 100])
            ious = [0.5 + 0.05 * i for i in range(10)]
            coco = np.mean([box_figures(*box_curve(images, found, wanted, fits, round(iou, 2)), [])[0] for iou in ious])
            loose = box_figures(*box_curve(images, found, wanted, fits, 0.3), [])[0]
            cases.append({"kind": kind, "part": part, "faces": faces, "ap_50": ap, "ap_30": loose, "ap_coco": float(coco), "recall_at": recalls})
            print(cases[-1])
    return cases


# ---- FDDB


def half_up(value):
    """As C's round and Rust's: halves away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def mask(region, size):
    """Row-major boolean picture. Without a size: a canvas of 2000 px about the origin, large enough for these sets."""
    width, height, left, top = (*size, 0, 0) if size else (2400, 2400, -600, -600)
    if region[0] == "rectangle":
        x, y, w, h = region[1:5]
        x1, y1, x2, y2 = half_up(x), half_up(y), half_up(x + w), half_up(y + h)
        xs, ys = np.arange(left, left + width), np.arange(top, top + height)
        return np.outer((ys >= y1) & (ys <= y2), (xs >= x1) & (xs <= x2))
    a, b, angle, cx, cy = region[1:6]
    ys, xs = np.mgrid[top : top + height, left : left + width]
    dx, dy = xs - half_up(cx), ys - half_up(cy)
    u = (dx * math.cos(angle) + dy * math.sin(angle)) / int(a)
    v = (dy * math.cos(angle) - dx * math.sin(angle)) / int(b)
    return u * u + v * v <= 1.0


def best_assignment(weights):
    """The greatest sum by trying everything, in each group of rows that share columns. Returns the weights of the pairs."""
    groups = []  # of rows and the columns they touch
    for row in weights:
        touched = {column for column, weight in enumerate(row) if weight > 0}
        joined = [group for group in groups if group[1] & touched]
        groups = [group for group in groups if not group[1] & touched]
        groups.append((sum((group[0] for group in joined), []) + [row], touched.union(*(group[1] for group in joined))))
    pairs = []
    for rows, _ in groups:
        pairs += best_of_group(rows)
    return pairs


def best_of_group(rows):
    """Row by row, the best of each set of columns used so far, as bits."""
    best = {0: (0.0, [])}
    for row in rows:
        grown = dict(best)
        for used, (total, pairs) in best.items():
            for column, weight in enumerate(row):
                if weight > 0 and not used >> column & 1:
                    key = used | 1 << column
                    if key not in grown or total + weight > grown[key][0] + 1e-12:
                        grown[key] = (total + weight, pairs + [weight])
        best = grown
    return max(best.values(), key=lambda one: one[0])[1]


def fddb_image(size, ellipses, found):
    """Per distinct score: (score, found, summed overlap, wrong)."""
    faces = [mask(ellipse, size) for ellipse in ellipses]
    valid = []
    for region, score in found:
        picture = mask(region, size)
        if picture.any():
            row = []
            for face in faces:
                union = np.sum(picture | face)
                row.append(float(np.sum(picture & face) / union) if union else 0.0)
            valid.append((score, row))
    shares = []
    for threshold in sorted({score for score, _ in valid}, reverse=True):
        passing = [row for score, row in valid if score >= threshold]
        pairs = best_assignment(passing)
        right = sum(weight > 0.5 for weight in pairs)
        shares.append((threshold, right, sum(pairs), len(passing) - right))
    return shares


def fddb_curve(shares_by_image, faces):
    thresholds = sorted({share[0] for shares in shares_by_image for share in shares}, reverse=True)
    at = [-1] * len(shares_by_image)
    curve = []
    for threshold in thresholds:
        total = np.zeros(3)
        for index, shares in enumerate(shares_by_image):
            while at[index] + 1 < len(shares) and shares[at[index] + 1][0] >= threshold:
                at[index] += 1
            if at[index] >= 0:
                total += shares[at[index]][1:]
        curve.append([threshold, total[0] / faces, total[1] / faces, int(total[2])])
    return curve


def fddb_made_up():
    stream = Stream(5)
    shares, faces = [], 0
    for number in range(24):
        size = [400, 300] if number % 2 else None
        ellipses, found = [], []
        for _ in range(stream.pick(5)):
            major, minor = 80 + stream.pick(400), 80 + stream.pick(300)
            angle, cx, cy = stream.pick(3142) / 1000, stream.pick(3200), stream.pick(2400)
            ellipses.append(("ellipse", major / 8, minor / 8, angle, cx / 8, cy / 8))
            box = [cx - minor, cy - major, 2 * minor, 2 * major]
            for _ in range(stream.pick(3)):
                found.append((("rectangle", *[v / 8 for v in shifted(stream, box)]), (1 + stream.pick(64)) / 64))
        for _ in range(stream.pick(3)):
            box = [stream.pick(3400) - 200, stream.pick(2600) - 200, 64 + stream.pick(800), 64 + stream.pick(800)]
            found.append((("rectangle", *[v / 8 for v in box]), (1 + stream.pick(64)) / 64))
        if ellipses and stream.pick(2):
            found.append((ellipses[0], (1 + stream.pick(64)) / 64))
        faces += len(ellipses)
        shares.append(fddb_image(size, ellipses, found))
    return {"faces": faces, "curve": fddb_curve(shares, faces)}


def cropped(regions):
    """Regions moved next to the origin, so that the canvas can be small; None as size then cuts nothing of them."""
    corners = []
    for region in regions:
        if region[0] == "rectangle":
            x, y, w, h = region[1:5]
            corners += [(x, y), (x + w, y + h)]
        else:
            reach = max(region[1], region[2])
            corners += [(region[4] - reach, region[5] - reach), (region[4] + reach, region[5] + reach)]
    low = np.floor(np.min(corners, axis=0)).astype(int) - 2
    high = np.ceil(np.max(corners, axis=0)).astype(int) + 3
    return low, high


def mask_at(region, low, high):
    xs, ys = np.arange(low[0], high[0]), np.arange(low[1], high[1])
    if region[0] == "rectangle":
        x, y, w, h = region[1:5]
        x1, y1, x2, y2 = half_up(x), half_up(y), half_up(x + w), half_up(y + h)
        return np.outer((ys >= y1) & (ys <= y2), (xs >= x1) & (xs <= x2))
    a, b, angle, cx, cy = region[1:6]
    dx, dy = (xs - half_up(cx))[None, :], (ys - half_up(cy))[:, None]
    u = (dx * math.cos(angle) + dy * math.sin(angle)) / int(a)
    v = (dy * math.cos(angle) - dx * math.sin(angle)) / int(b)
    return u * u + v * v <= 1.0


def fddb_real(folder):
    def blocks(path):
        lines = path.read_text().split("\n")
        i = 0
        while i + 1 < len(lines):
            count = int(lines[i + 1])
            yield lines[i].strip(), [[float(v) for v in line.split()] for line in lines[i + 2 : i + 2 + count]]
            i += 2 + count

    shares, faces = [], 0
    for fold in range(1, 11):
        found = dict(blocks(folder / f"caffe_mtcnn_detections/fold-{fold:02}-out.txt"))
        for name, rows in blocks(folder / f"FDDB-fold-{fold:02}-ellipseList.txt"):
            ellipses = [("ellipse", *row[:5]) for row in rows]
            # As the Rust side reads them: edges in single precision.
            boxes = [(("rectangle", *row[:4]), row[4]) for row in found[name]]
            faces += len(ellipses)
            valid = []
            for box, score in boxes:
                row = []
                for ellipse in ellipses:
                    low, high = cropped([box, ellipse])
                    a, b = mask_at(box, low, high), mask_at(ellipse, low, high)
                    row.append(float(np.sum(a & b) / np.sum(a | b)))
                valid.append((score, row))
            one = []
            for threshold in sorted({score for score, _ in valid}, reverse=True):
                pairs = best_assignment([row for score, row in valid if score >= threshold])
                right = sum(weight > 0.5 for weight in pairs)
                one.append((threshold, right, sum(pairs), sum(score >= threshold for score, _ in valid) - right))
            shares.append(one)
    curve = fddb_curve(shares, faces)
    rates = []
    for limit in (100, 284, 500, 1000, 2000):
        within = [point for point in curve if point[3] <= limit]
        rates.append({"false_positives": limit, "discrete": max(p[1] for p in within), "continuous": max(p[2] for p in within)})
    return {"images": len(shares), "faces": faces, "rates": rates}


# ---- landmarks


def landmark_figures():
    stream = Stream(9)
    errors, misses = [], 0
    for _ in range(50):
        truth = [(stream.pick(800) / 8, stream.pick(800) / 8) for _ in range(5)]
        if stream.pick(8) == 0:
            misses += 1
            continue
        found = [(x + (stream.pick(33) - 16) / 8, y + (stream.pick(33) - 16) / 8) for x, y in truth]
        eyes = math.hypot(truth[0][0] - truth[1][0], truth[0][1] - truth[1][1])
        errors.append([math.hypot(a[0] - b[0], a[1] - b[1]) / eyes for a, b in zip(found, truth)])
    errors = np.array(errors)
    means = errors.mean(axis=1)
    return {
        "faces": len(errors) + misses,
        "misses": misses,
        "mean": float(means.mean()),
        "standard_error": float(means.std(ddof=1) / math.sqrt(len(means))),
        "median": float(np.median(means)),
        "by_landmark": errors.mean(axis=0).tolist(),
        "failures": float((misses + np.sum(means > 0.1)) / (len(errors) + misses)),
    }


# ---- verification


def unit(vector):
    vector = np.array(vector, dtype=float)
    return (vector / math.sqrt(np.sum(vector * vector))).astype(np.float32).astype(float)


def made_up_pairs():
    """Ten folds of eight pairs of one person and eight of two: (distance, same, fold)."""
    stream = Stream(21)
    pairs = []
    for fold in range(10):
        for place in range(16):
            same = place < 8
            a = [stream.pick(201) - 100 for _ in range(8)]
            b = [v + stream.pick(181) - 90 for v in a] if same else [stream.pick(201) - 100 + v // 4 for v in a]
            pairs.append((float(np.sum((unit(a) - unit(b)) ** 2)), same, fold))
    return pairs


def verification():
    pairs = made_up_pairs()
    distance = np.array([pair[0] for pair in pairs])
    same = np.array([pair[1] for pair in pairs])
    fold = np.array([pair[2] for pair in pairs])
    grid, fine = [i * 0.01 for i in range(400)], [i * 0.001 for i in range(4000)]
    # A distance that a rounding could put on the other side of a threshold would pin nothing.
    assert min(abs(d / 0.001 - round(d / 0.001)) for d in distance) > 1e-4

    thresholds, accuracies = [], []
    for held_out in range(10):
        train, test = fold != held_out, fold == held_out
        right = [np.mean((distance[train] < t) == same[train]) for t in grid]
        thresholds.append(grid[int(np.argmax(right))])
        accuracies.append(float(np.mean((distance[test] < thresholds[-1]) == same[test])))
    at = []
    for target in (0.1, 0.01, 0.001):
        rates = []
        for held_out in range(10):
            train, test = fold != held_out, fold == held_out
            far = [np.mean(distance[train & ~same] < t) for t in fine]
            threshold = threshold_at(target, far, fine)
            rates.append((np.mean(distance[test & same] < threshold), np.mean(distance[test & ~same] < threshold)))
        tar, false = np.mean(rates, axis=0)
        at.append({"far": target, "tar": float(tar), "deviation": float(np.std([r[0] for r in rates])), "measured_far": float(false)})
    return {
        "pairs": len(pairs),
        "thresholds": thresholds,
        "accuracies": accuracies,
        "mean": float(np.mean(accuracies)),
        "deviation": float(np.std(accuracies)),
        "tar_at_far": at,
        "area": float(np.mean([np.mean((d > distance[same]) + 0.5 * (d == distance[same])) for d in distance[~same]])),
    }


def threshold_at(target, far, thresholds):
    """Between the last threshold with a lower rate and the first with this rate or more; 0 if the rate is never reached."""
    after = next((i for i, rate in enumerate(far) if rate >= target), 0)
    return float(np.interp(target, far[after - 1 : after + 1], thresholds[after - 1 : after + 1])) if after else 0.0


def wider_real(folder):
    from scipy.io import loadmat

    truth = loadmat(folder / "wider_face_val.mat")
    boxes = [image[0].astype(float) for event in truth["face_bbx_list"] for image in event[0]]
    images = {}
    for setting in ("easy", "medium", "hard"):
        lists = [image[0].ravel() for event in loadmat(folder / f"wider_{setting}_val.mat")["gt_list"] for image in event[0]]
        counted = []
        for one, numbers in zip(boxes, lists):
            mask = np.zeros(len(one), dtype=bool)
            mask[numbers.astype(int) - 1] = True
            counted.append(mask)
        images[setting] = list(zip(boxes, counted))
    eighths = [[[int(v) * 8 for v in box] for box in one] for one in boxes]
    return wider_cases(images, eighths, 11)


def main():
    kept = json.loads(OUT.read_text()) if OUT.exists() else {}
    faces = made_up_faces(Stream(1))
    boxes = [[face["box"] for face in one] for one in faces]
    settings = {
        name: [([[v / 8 for v in face["box"]] for face in one], np.array([face["easiness"] >= 3 - level for face in one], dtype=bool)) for one in faces]
        for level, name in enumerate(["easy", "medium", "hard"])
    }
    golden = {
        "made_with": {"python": sys.version.split()[0], "numpy": np.__version__},
        "wider": wider_cases(settings, boxes, 11),
        "boxes": box_cases(faces),
        "fddb": fddb_made_up(),
        "landmarks": landmark_figures(),
        "verification": verification(),
        "wider_validation": kept.get("wider_validation"),
        "fddb_caffe": kept.get("fddb_caffe"),
    }
    if len(sys.argv) > 1:
        protocols = pathlib.Path(sys.argv[1]) / "protocols"
        golden["fddb_caffe"] = fddb_real(protocols / "fddb")
        print(golden["fddb_caffe"])
        golden["wider_validation"] = wider_real(protocols / "wider_face_split")
        import scipy

        golden["made_with"]["scipy"] = scipy.__version__
    else:
        golden["made_with"] = kept.get("made_with", golden["made_with"])
    OUT.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
