// curves.js - the journal's metrics as curves that pointer and keyboard can read.

const chartHeight = 230;
const chartEdges = {left: 48, right: 14, top: 10, bottom: 30};

// Each with the evaluation that measures the same; shown where the run has the first of a list.
const firstCharts = [
    [
        ["critic/rewards/mean", "Reward", "val/ave_total_reward"],
        ["reward/decision", "Decision", "val/ave_total_decision"],
        ["reward/content", "Content", "val/ave_continue_content"],
        ["reward/format", "Format", "val/ave_total_format"],
    ],
    [
        ["actor/pg_loss", "Loss", ""],
        ["val/expert_loss", "Loss on the expert's own words, evaluated", ""],
        ["val/ave_total_reward", "Reward, evaluated", ""],
        ["actor/grad_norm", "Length of the gradient", ""],
    ],
];

// A curve of the data with the steps of its axis and, where it has enough points, a running mean.
function unpackCurve(name) {
    const curve = report.curves.curves.find((other) => other.name === name);
    if (!curve)
        return null;
    const axis = report.curves.axes[curve.axis];
    const mean = curve.mean || axis.steps.map(() => curve.constant);
    const bins = mean.length;
    const window = Math.max(10, Math.round(bins / 50));
    const weight = (bin) => Math.min(axis.per, axis.count - bin * axis.per);
    let running = null;
    if (bins >= 2 * window && !name.startsWith("val/")) {
        let sum = 0;
        let count = 0;
        running = mean.map((value, bin) => {
            sum += value * weight(bin);
            count += weight(bin);
            if (bin >= window) {
                sum -= mean[bin - window] * weight(bin - window);
                count -= weight(bin - window);
            }
            return sum / count;
        });
    }
    return {
        name, mean, running,
        low: curve.low || mean,
        high: curve.high || mean,
        steps: axis.steps,
        last: axis.last || axis.steps,
        per: axis.per,
        averaged: window * axis.per,
    };
}

// At most six round numbers from at or below `low` to at or above `high`.
function roundTicks(low, high) {
    const rough = (high - low || Math.abs(high) || 1) / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const tick = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
    const ticks = [];
    for (let i = Math.floor(low / tick + 1e-9);
        ticks.length < 2 || (i - 1) * tick < high - 1e-9 * tick; i++)
        ticks.push(i * tick);
    return ticks;
}

class Chart {
    constructor(title, curve, evaluation) {
        this.title = title;
        this.curve = curve;
        this.evaluation = evaluation;
        this.svg = makeSvg("svg", {tabindex: 0, role: "slider", "aria-label": title + " by step"});
        this.note = make("span", {class: "chart-note"});
        this.readout = make("p", {class: "readout"});
        this.figure = make("figure", {class: "chart"},
            make("figcaption", {}, title + " ", this.note), this.svg, this.readout);
        this.svg.addEventListener("pointermove", (event) => this.point(event));
        this.svg.addEventListener("pointerdown", (event) => this.point(event));
        this.svg.addEventListener("pointerleave", () => this.read(this.points.length - 1, false));
        this.svg.addEventListener("keydown", (event) => this.key(event));
        this.svg.addEventListener("focus", () => this.read(this.at, true));
        this.svg.addEventListener("blur", () => this.read(this.points.length - 1, false));
        this.describe();
    }

    describe() {
        const curve = this.curve;
        const parts = curve.name === this.title ? [] : [curve.name];
        if (curve.per > 1)
            parts.push(`lowest to highest of each ${formatCount(curve.per)} steps`);
        if (curve.running)
            parts.push(`mean of ${formatCount(curve.averaged)} steps`);
        if (this.evaluation)
            parts.push("evaluation " + this.evaluation.name.replace(/^val\//, ""));
        appendText(this.note, parts.join("; "));
    }

    // Draws what happened at step `from` and after.
    draw(from) {
        this.points = this.pointsFrom(from);
        this.svg.replaceChildren();
        const width = Math.max(240, Math.round(this.figure.clientWidth));
        this.svg.setAttribute("viewBox", `0 0 ${width} ${chartHeight}`);
        if (this.points.length === 0) {
            this.svg.append(makeSvg("text", {class: "tick", x: 12, y: 40}, "no values here"));
            this.read(-1, false);
            return;
        }
        this.scale(width);
        this.drawGrid(width);
        if (report.curves.warmup !== null && report.curves.warmup > this.first)
            this.line("boundary", this.x(report.curves.warmup));
        this.drawCurve();
        this.drawEvaluations();
        this.cursor = this.line("cursor", 0);
        this.read(this.points.length - 1, false);
    }

    // What there is to tell, in order of steps: indices of the curve and of the evaluation. An
    // evaluation belongs to the values of its step.
    pointsFrom(from) {
        const curve = this.curve;
        const points = curve.steps.map((step, index) => ({step, index}));
        let at = 0;
        for (const [evaluated, step] of (this.evaluation ? this.evaluation.steps : []).entries()) {
            while (at < curve.steps.length && curve.last[at] < step)
                at++;
            if (at < curve.steps.length && curve.steps[at] <= step)
                points[at].evaluated = evaluated;
            else
                points.push({step, evaluated});
        }
        return points.sort((a, b) => a.step - b.step)
            .filter((point) => point.step >= from || curve.last[point.index] >= from);
    }

    scale(width) {
        let low = Infinity;
        let high = -Infinity;
        for (const point of this.points) {
            if (point.index !== undefined) {
                low = Math.min(low, this.curve.low[point.index]);
                high = Math.max(high, this.curve.high[point.index]);
            }
            if (point.evaluated !== undefined) {
                low = Math.min(low, this.evaluation.mean[point.evaluated]);
                high = Math.max(high, this.evaluation.mean[point.evaluated]);
            }
        }
        const part = /^reward\/(mean|decision|content|format)$/.test(this.curve.name);
        if (low >= 0 && (part || low <= 0.5 * high))
            low = 0;
        if (part)
            high = Math.max(high, 1);
        this.ticks = roundTicks(low, high);
        const bottom = this.ticks[0];
        const top = this.ticks[this.ticks.length - 1];
        const end = this.points[this.points.length - 1];
        this.first = this.points[0].step;
        this.end = end.index === undefined ? end.step : this.curve.last[end.index];
        const across = width - chartEdges.left - chartEdges.right;
        const up = chartHeight - chartEdges.top - chartEdges.bottom;
        const steps = this.end - this.first || 1;
        this.x = (step) => chartEdges.left + (step - this.first) / steps * across;
        this.y = (value) => chartEdges.top + (top - value) / (top - bottom) * up;
    }

    drawGrid(width) {
        const bottom = chartHeight - chartEdges.bottom;
        for (const tick of this.ticks) {
            const y = this.y(tick);
            this.svg.append(
                makeSvg("path", {class: "grid",
                    d: `M${chartEdges.left} ${y}H${width - chartEdges.right}`}),
                makeSvg("text", {class: "tick", x: chartEdges.left - 6, y: y + 4,
                    "text-anchor": "end"}, formatNumber(Number(tick.toPrecision(12)))));
        }
        const inside = roundTicks(this.first, this.end)
            .filter((tick) => tick >= this.first && tick <= this.end && Number.isInteger(tick));
        for (const tick of inside.length > 1 ? inside : [this.first, this.end])
            this.svg.append(makeSvg("text", {class: "tick", x: this.x(tick), y: bottom + 18,
                "text-anchor": this.x(tick) > width - 30 ? "end" : "middle"}, formatCount(tick)));
    }

    line(name, x) {
        const bottom = chartHeight - chartEdges.bottom;
        const line = makeSvg("path", {class: name, d: `M${x} ${chartEdges.top}V${bottom}`});
        this.svg.append(line);
        return line;
    }

    drawCurve() {
        const curve = this.curve;
        const indices = this.points.map((point) => point.index).filter((at) => at !== undefined);
        if (indices.length === 0)
            return;
        const middle = (at) => this.x((curve.steps[at] + curve.last[at]) / 2);
        const path = (values, order) => order
            .map((at) => `${middle(at).toFixed(1)} ${this.y(values[at]).toFixed(1)}`).join("L");
        if (curve.per > 1)
            this.svg.append(makeSvg("path", {class: "band", d: "M" + path(curve.high, indices) +
                "L" + path(curve.low, [...indices].reverse()) + "Z"}));
        else
            this.svg.append(makeSvg("path", {class: "steps", d: "M" + path(curve.mean, indices)}));
        if (curve.running || curve.per > 1)
            this.svg.append(makeSvg("path", {class: "mean",
                d: "M" + path(curve.running || curve.mean, indices)}));
        if (!curve.running && indices.length < 60)
            for (const at of indices)
                this.svg.append(makeSvg("circle", {class: "evaluation", r: 3.5,
                    cx: middle(at), cy: this.y(curve.mean[at])}));
    }

    drawEvaluations() {
        const evaluated = this.points.map((point) => point.evaluated)
            .filter((at) => at !== undefined);
        const form = evaluated.length > 60 ? {class: "evaluation small", r: 2}
            : {class: "evaluation", r: 4.5};
        for (const at of evaluated)
            this.svg.append(makeSvg("circle", {...form, cx: this.x(this.evaluation.steps[at]),
                cy: this.y(this.evaluation.mean[at])}));
    }

    // Tells point `at` of the curve; the cursor stands there while it is `held`.
    read(at, held) {
        this.at = at;
        const point = this.points[at];
        const text = point ? this.words(point) : "";
        this.readout.textContent = text;
        if (!point)
            return;
        this.cursor.setAttribute("visibility", held ? "visible" : "hidden");
        this.cursor.setAttribute("transform", `translate(${this.x(point.step)} 0)`);
        this.svg.setAttribute("aria-valuemin", this.first);
        this.svg.setAttribute("aria-valuemax", this.end);
        this.svg.setAttribute("aria-valuenow", point.step);
        this.svg.setAttribute("aria-valuetext", text);
    }

    words(point) {
        const curve = this.curve;
        const at = point.index;
        const several = at !== undefined && curve.last[at] > point.step;
        const parts = [(several ? "steps " : "step ") + formatCount(point.step) +
            (several ? " to " + formatCount(curve.last[at]) : "") + ":"];
        if (at !== undefined) {
            parts.push(formatNumber(curve.mean[at]) + (several
                ? ` (${formatNumber(curve.low[at])} to ${formatNumber(curve.high[at])})` : ""));
            if (curve.running)
                parts.push("running mean " + formatNumber(curve.running[at]));
        }
        if (point.evaluated !== undefined)
            parts.push("evaluation " + formatNumber(this.evaluation.mean[point.evaluated]));
        return parts[0] + " " + parts.slice(1).join("; ");
    }

    point(event) {
        if (this.points.length === 0)
            return;
        const box = this.svg.getBoundingClientRect();
        const scale = this.svg.viewBox.baseVal.width / box.width;
        const x = (event.clientX - box.left) * scale;
        let best = 0;
        this.points.forEach((point, at) => {
            if (Math.abs(this.x(point.step) - x) < Math.abs(this.x(this.points[best].step) - x))
                best = at;
        });
        this.read(best, true);
    }

    key(event) {
        const last = this.points.length - 1;
        const far = Math.max(1, Math.round(last / 10));
        const moves = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -far,
            PageUp: far, Home: -last, End: last};
        if (!isOurs(event, moves) || last < 0)
            return;
        event.preventDefault();
        this.read(Math.min(last, Math.max(0, this.at + moves[event.key])), true);
    }
}

function fillMetrics(select, taken) {
    const groups = new Map();
    for (const curve of report.curves.curves) {
        const family = curve.name.split("/")[0];
        if (taken.has(curve.name))
            continue;
        if (!groups.has(family))
            groups.set(family, make("optgroup", {label: family}));
        groups.get(family).append(make("option", {value: curve.name}, curve.name));
    }
    select.append(...groups.values());
    const wanted = ["response_length/mean", "actor/entropy", "actor/lr"];
    const first = wanted.find((name) => [...select.options].some((one) => one.value === name));
    if (first)
        select.value = first;
}

function startCurves() {
    const panels = firstCharts.find((list) => unpackCurve(list[0][0])) || [];
    const charts = panels.filter(([name]) => unpackCurve(name)).map(([name, title, evaluation]) =>
        new Chart(title, unpackCurve(name), evaluation ? unpackCurve(evaluation) : null));
    const host = document.getElementById("charts");
    host.append(...charts.map((chart) => chart.figure));
    if (report.curves.curves.length === 0) {
        host.append(make("p", {}, "The journal of this run has no steps yet."));
        return;
    }
    const select = document.getElementById("metric");
    const warmup = document.getElementById("warmup");
    let further = null;
    const from = () => report.curves.warmup === null || warmup.checked ? 0 : report.curves.warmup;
    const drawAll = () => [...charts, further].forEach((chart) => chart && chart.draw(from()));
    const choose = () => {
        further = select.value ? new Chart(select.value, unpackCurve(select.value), null) : null;
        const place = document.getElementById("metric-chart");
        place.replaceChildren();
        if (further) {
            place.append(further.figure);
            further.draw(from());
        }
    };
    fillMetrics(select, new Set(charts.map((chart) => chart.curve.name)));
    document.getElementById("curves-tools").hidden = false;
    document.getElementById("further").hidden = select.options.length === 0;
    document.getElementById("warmup-choice").hidden = report.curves.warmup === null;
    select.addEventListener("change", choose);
    warmup.addEventListener("change", drawAll);
    choose();
    let width = 0;
    new ResizeObserver(() => {
        if (host.clientWidth !== width)
            drawAll();
        width = host.clientWidth;
    }).observe(host);
}

startCurves();
