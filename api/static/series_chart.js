// Readings of some points over time: zoom and pan with wheel, drag and slider. What is in sight is asked of the server
// in as many columns as there are pixels, so that a year of readings stays light and no peak is lost.
import { echarts } from "nicegui-echart";

const WAIT = 120;
const LEAST = 60_000;
const MARGIN = 0.5;
const LINES = [{ type: "solid" }, { type: "solid" }, { type: [6, 3] }, { type: [2, 2] }, { type: [8, 3, 2, 3] }, { type: [1, 3] }];

export default {
  template: `<div class="gg-series" role="group" :aria-label="label">
    <div ref="chart" class="gg-series-chart" tabindex="0" @keydown="key"></div>
    <div v-show="said" class="gg-series-said" role="status">{{ said }}</div>
  </div>`,
  props: { asked: Object, palette: Object, texts: Object, label: String },
  data: () => ({ said: "" }),
  created() {
    this.now = this.asked;
    this.asking = 0;
  },
  async mounted() {
    await new Promise((done) => setTimeout(done, 0));
    this.chart = echarts.init(this.$refs.chart, null, { renderer: "canvas" });
    this.chart.on("datazoom", () => {
      clearTimeout(this.later);
      this.later = setTimeout(() => this.refine(), WAIT);
    });
    this.observer = new ResizeObserver(() => {
      this.chart.resize();
      clearTimeout(this.later);
      this.later = setTimeout(() => this.refine(), WAIT);
    });
    this.observer.observe(this.$refs.chart);
    await this.show(this.now);
  },
  beforeUnmount() {
    clearTimeout(this.later);
    this.abort?.abort();
    this.observer?.disconnect();
    this.chart?.dispose();
  },
  methods: {
    // Draws other points or another span; nothing of the old ones stays.
    async show(asked) {
      this.now = asked;
      this.abort?.abort();
      if (!this.chart) return;
      this.whole = this.fine = null;
      if (!asked.points.length || asked.to <= asked.from) {
        this.chart.clear();
        this.said = this.texts.none;
        return;
      }
      this.said = this.texts.loading;
      const found = await this.fetch(asked.from, asked.to);
      if (!found) return;
      this.whole = this.fine = found;
      this.chart.setOption(this.options(), { notMerge: true });
      this.said = found.series.some((one) => one.values.some((value) => value !== null)) ? "" : this.texts.none;
    },
    async fetch(from, to) {
      this.abort?.abort();
      const abort = (this.abort = new AbortController());
      const query = new URLSearchParams();
      for (const point of this.now.points) query.append("point", point.id);
      query.set("from", new Date(from).toISOString());
      query.set("to", new Date(to).toISOString());
      query.set("width", String(Math.max(10, Math.min(4000, Math.round(this.$refs.chart.clientWidth * Math.min(2, devicePixelRatio || 1))))));
      if (this.now.use) query.set("use", "true");
      try {
        const answer = await fetch(`/api/v1/series?${query}`, { signal: abort.signal });
        const found = answer.ok ? await answer.json() : null;
        // what arrived whole just before something else was asked for is no answer to that
        if (abort.signal.aborted) return null;
        if (answer.status === 404) {
          this.chart.clear();
          this.said = this.texts.none;
          return null;
        }
        if (!answer.ok) throw new Error(String(answer.status));
        return { ...found, from, to };
      } catch (error) {
        if (error.name !== "AbortError") this.said = this.texts.failed;
        return null;
      }
    },
    // Asks for more of what is in sight, with some room at both sides, where what is here is too coarse.
    async refine() {
      if (!this.whole) return;
      const [from, to] = this.seen();
      const span = to - from;
      const have = this.fine;
      const enough = have.from <= from && have.to >= to && have.to - have.from <= span * (1 + 2 * MARGIN) * 1.5;
      if (enough || !(span > 0)) return;
      const wide = [Math.max(this.whole.from, from - span * MARGIN), Math.min(this.whole.to, to + span * MARGIN)];
      const found = await this.fetch(...wide.map(Math.round));
      if (!found) return;
      this.said = "";
      this.fine = found;
      this.chart.setOption({ series: this.lines().map(({ id, data }) => ({ id, data })) });
    },
    // What of the whole is in sight, ms UTC.
    seen() {
      const zoom = this.chart.getOption()?.dataZoom?.[0];
      if (!zoom) return [this.whole.from, this.whole.to];
      const from = this.local(this.whole.from);
      const span = this.local(this.whole.to) - from;
      const of = (share, value) => this.utc(Number.isFinite(value) ? value : from + (span * share) / 100);
      return [of(zoom.start, zoom.startValue), of(zoom.end, zoom.endValue)];
    },
    // What the site's clock shows at a time, as if it were UTC; and back, of two times with the same clock the later one.
    local(at) {
      const { since_ms, ahead_ms } = this.now.clock;
      let n = since_ms.length - 1;
      while (n && since_ms[n] > at) n--;
      return at + ahead_ms[n];
    },
    utc(local) {
      const { since_ms, ahead_ms } = this.now.clock;
      let n = since_ms.length - 1;
      while (n && local - ahead_ms[n] < since_ms[n]) n--;
      return local - ahead_ms[n];
    },
    data(n) {
      const rows = (one, keep) => one.times_ms.flatMap((at, k) => (keep(at) ? [[at, one.values[k], one.quality[k]]] : []));
      const coarse = this.whole.series[n];
      const { from, to } = this.fine;
      const whole = this.fine === this.whole;
      const read = whole ? rows(coarse, () => true) : [...rows(coarse, (at) => at < from), ...rows(this.fine.series[n], () => true), ...rows(coarse, (at) => at >= to)];
      const found = [];
      let before = -Infinity;
      for (const [at, value, quality] of read) {
        const shown = this.local(at);
        // where clocks go back, a line through both hours would run backwards
        if (shown <= before) found.push([shown, null, 0, at]);
        found.push([shown, value, quality, at]);
        before = shown;
      }
      return found;
    },
    units() {
      return [...new Set(this.whole.series.map((one) => one.unit))];
    },
    lines() {
      const units = this.units();
      const colours = this.palette.lines;
      return this.whole.series.map((one, n) => ({
        id: `${n}`,
        name: this.now.points[n].name,
        type: "line",
        step: this.now.points[n].step ? "end" : false,
        yAxisIndex: Math.min(1, units.indexOf(one.unit)),
        showSymbol: false,
        connectNulls: false,
        animation: false,
        data: this.data(n),
        lineStyle: { width: 1.5, color: colours[n % colours.length], ...LINES[n] },
        itemStyle: { color: colours[n % colours.length] },
        markLine: n === 0 ? { symbol: "none", silent: true, animation: false, data: this.marks() } : undefined,
      }));
    },
    marks() {
      const line = (colour, type) => ({ color: colour, type, width: 1 });
      const text = (label, colour, position) => ({ formatter: label, color: colour, position, fontSize: 11 });
      const levels = (this.now.levels || []).map(({ value, label }, n) => ({
        yAxis: value,
        lineStyle: line(this.palette.bad, "dashed"),
        label: text(label, this.palette.bad, n % 2 ? "insideEndTop" : "insideStartTop"),
      }));
      const moments = (this.now.moments || []).map(({ at, label }, n) => ({
        xAxis: this.local(at),
        lineStyle: line(this.palette.muted, "dotted"),
        label: { ...text(label, this.palette.muted, "end"), distance: n % 2 ? 2 : 14 },
      }));
      return [...levels, ...moments];
    },
    upright(unit, n) {
      const levels = n === 0 ? (this.now.levels || []).map((level) => level.value) : [];
      const bound = (pick) => (range) => {
        const room = (Math.max(range.max, ...levels) - Math.min(range.min, ...levels)) * 0.06 || Math.abs(range.max) * 0.1 || 1;
        return pick < 0 ? Math.min(range.min, ...levels) - room : Math.max(range.max, ...levels) + room;
      };
      return {
        type: "value",
        name: unit,
        position: n ? "right" : "left",
        scale: true,
        min: levels.length ? bound(-1) : undefined,
        max: levels.length ? bound(1) : undefined,
        nameTextStyle: { color: this.palette.muted, align: n ? "left" : "right", fontSize: 11 },
        nameGap: 8,
        axisLabel: { color: this.palette.muted, fontSize: 11, showMinLabel: !levels.length, showMaxLabel: !levels.length, formatter: (value) => String(Number(value.toPrecision(6))) },
        splitLine: { show: n === 0, lineStyle: { color: this.palette.grid } },
      };
    },
    options() {
      const { palette, texts } = this;
      const units = this.units();
      return {
        animation: false,
        useUTC: true,
        textStyle: { fontFamily: "Noto Sans, Noto Sans CJK SC, sans-serif", color: palette.muted },
        grid: { left: 56, right: units.length > 1 ? 56 : 20, top: 52, bottom: 68 },
        legend: { top: 0, left: 52, right: 40, type: "scroll", itemWidth: 20, itemHeight: 8, textStyle: { color: palette.muted, fontSize: 11 } },
        toolbox: {
          right: 0,
          top: -6,
          itemSize: 13,
          iconStyle: { borderColor: palette.muted },
          feature: { saveAsImage: { title: texts.save, name: this.label, pixelRatio: 2, backgroundColor: palette.panel, excludeComponents: ["toolbox", "dataZoom"] } },
        },
        tooltip: {
          trigger: "axis",
          confine: true,
          backgroundColor: palette.panel,
          borderColor: palette.line,
          textStyle: { color: palette.text, fontSize: 12 },
          axisPointer: { lineStyle: { color: palette.line } },
          formatter: (rows) => this.told(rows),
        },
        xAxis: {
          type: "time",
          min: this.local(this.whole.from),
          max: this.local(this.whole.to),
          name: this.now.clock.label,
          nameLocation: "end",
          nameGap: 0,
          nameTextStyle: { color: palette.muted, fontSize: 11, align: "right", verticalAlign: "top", padding: [22, 0, 0, 0] },
          axisLine: { lineStyle: { color: palette.line } },
          axisTick: { show: false },
          axisLabel: { color: palette.muted, fontSize: 11, hideOverlap: true },
          splitLine: { show: false },
        },
        yAxis: units.slice(0, 2).map((unit, n) => this.upright(unit, n)),
        dataZoom: [
          { type: "inside", filterMode: "none", minValueSpan: LEAST, throttle: 16 },
          {
            type: "slider", filterMode: "none", minValueSpan: LEAST, height: 18, bottom: 8, throttle: 16, showDataShadow: false, brushSelect: false,
            borderColor: palette.line, fillerColor: palette.band, handleStyle: { color: palette.muted }, moveHandleStyle: { color: palette.line }, textStyle: { color: palette.muted, fontSize: 11 },
            labelFormatter: (value) => this.moment(value),
          },
        ],
        series: this.lines(),
      };
    },
    moment: (shifted) => new Date(shifted).toISOString().slice(0, 16).replace("T", " "),
    // The reading of each point under the pointer, with unit and quality.
    told(rows) {
      if (!rows.length) return "";
      const box = document.createElement("div");
      const head = document.createElement("div");
      const [shown, , , at] = rows[0].value;
      head.textContent = `${new Date(shown).toISOString().slice(0, 19).replace("T", " ")} UTC${shown < at ? "−" : "+"}${Math.abs(shown - at) / 3_600_000}`;
      box.append(head);
      for (const row of rows) {
        const [, value, quality] = row.value;
        const line = document.createElement("div");
        const unit = this.whole.series[row.seriesIndex].unit;
        const doubt = value !== null && quality >> 6 === 1 ? ` · ${this.texts.doubt}` : "";
        line.innerHTML = row.marker;
        line.append(`${row.seriesName}: ${value === null ? "—" : `${Number(value.toPrecision(6))} ${unit}`}${doubt}`);
        box.append(line);
      }
      return box;
    },
    // Arrows pan, plus and minus zoom, 0 shows all.
    key(event) {
      const zoom = this.chart?.getOption()?.dataZoom?.[0];
      if (!zoom) return;
      const span = zoom.end - zoom.start;
      const to = {
        ArrowLeft: [zoom.start - span / 5, zoom.end - span / 5],
        ArrowRight: [zoom.start + span / 5, zoom.end + span / 5],
        "+": [zoom.start + span / 4, zoom.end - span / 4],
        "=": [zoom.start + span / 4, zoom.end - span / 4],
        "-": [zoom.start - span / 2, zoom.end + span / 2],
        0: [0, 100],
      }[event.key];
      if (!to || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const width = Math.min(100, to[1] - to[0]);
      const start = Math.max(0, Math.min(100 - width, to[0]));
      this.chart.dispatchAction({ type: "dataZoom", start, end: start + width });
    },
  },
};
