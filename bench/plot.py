"""The plot of bench/peers, as SVG by hand: one band per row, one bar per contender, logarithmic."""
import math
from html import escape

colours = {"tidemill": "#0b6e99", "Redis Streams": "#c0392b", "NATS JetStream": "#27885a", "PostgreSQL": "#8e6bb0"}
left, right, bar, gap, top = 230, 120, 15, 16, 92
width = 980


def short(n):
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if n >= unit:
            return f"{n / unit:.3g}{name}"
    return f"{n:.0f}"


def peers(results, names):
    rows = list(results["rows"].values())
    band = bar * len(names) + gap
    height = top + band * len(rows) + 58
    figures = [c["records_per_second"] for row in rows for c in row["contenders"].values()]
    low, high = math.floor(math.log10(min(figures))), math.ceil(math.log10(max(figures)))
    scale = (width - left - right) / max(1, high - low)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
           'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12" fill="#222">',
           f'<rect width="{width}" height="{height}" fill="#fff"/>',
           '<text x="20" y="28" font-size="17" font-weight="bold">Durable records per second (each answer after its flush)</text>']
    machine = results["machine"]
    out.append(f'<text x="20" y="47" fill="#666">{machine["cores"]} cores, client included; 250-byte JSON records; medians of '
               f'{machine["rounds"]} rounds; logarithmic scale; commit {escape(machine["commit"])}</text>')
    x = 20
    for name in names:
        version = results["peers"].get(name, {}).get("version", "missing").split()[0]
        label = f"{name} {version}"
        out.append(f'<rect x="{x}" y="60" width="11" height="11" fill="{colours[name]}"/>')
        out.append(f'<text x="{x + 16}" y="70">{escape(label)}</text>')
        x += 44 + 7 * len(label)
    bottom = top + band * len(rows)
    for power in range(low, high + 1):
        at = left + (power - low) * scale
        out.append(f'<line x1="{at:.0f}" y1="{top - 6}" x2="{at:.0f}" y2="{bottom}" stroke="#ddd"/>')
        out.append(f'<text x="{at:.0f}" y="{bottom + 16}" text-anchor="middle" fill="#666">{short(10 ** power)}</text>')
    for i, row in enumerate(rows):
        y = top + i * band
        out.append(f'<text x="{left - 10}" y="{y + bar * len(names) / 2 + 4}" text-anchor="end">{escape(row["label"])}</text>')
        for j, name in enumerate(names):
            c = row["contenders"].get(name)
            at = y + j * bar
            if c is None:
                out.append(f'<text x="{left + 6}" y="{at + 11}" fill="#999">{escape(name)} missing</text>')
                continue
            length = max(1, (math.log10(c["records_per_second"]) - low) * scale)
            out.append(f'<rect x="{left}" y="{at}" width="{length:.1f}" height="{bar - 3}" fill="{colours[name]}"/>')
            out.append(f'<text x="{left + length + 6:.1f}" y="{at + 10}" font-size="11">{short(c["records_per_second"])}</text>')
    out.append(f'<text x="20" y="{height - 16}" fill="#666">Settings and versions: docs/performance.md. '
               'Median of the flush of 4 KiB before each turn: ' +
               f'{min(r["disk"]["flush_ms"] for r in rows):.2f} to {max(r["disk"]["flush_ms"] for r in rows):.2f} ms.</text>')
    return "\n".join(out + ["</svg>", ""])
