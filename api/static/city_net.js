// Draws pipes and meters of a city on one canvas. At each zoom only what is in sight and large enough is drawn: of lines
// that are shorter than a pixel one dot for each pixel, of meters that stand close one disc for each cell.
import { leaflet as L } from "nicegui-leaflet";

const CELL = 26;
const DETAIL = 0.8;
const MOST_DOTS = 4000;

// Positions as they are at zoom 0, so that another zoom is but a factor.
export function unpack(city, project) {
  const { ids, main, ends, at } = city.pipes;
  const corners = new Float64Array(at.length);
  const box = new Float64Array(ids.length * 4);
  for (let pipe = 0, corner = 0; pipe < ids.length; pipe++) {
    let [x, y, left, top, right, bottom] = [0, 0, Infinity, Infinity, -Infinity, -Infinity];
    for (; corner < ends[pipe]; corner++) {
      x += at[2 * corner];
      y += at[2 * corner + 1];
      const p = project(x / 10, y / 10);
      corners[2 * corner] = p.x;
      corners[2 * corner + 1] = p.y;
      [left, right, top, bottom] = [Math.min(left, p.x), Math.max(right, p.x), Math.min(top, p.y), Math.max(bottom, p.y)];
    }
    box.set([left, top, right, bottom], 4 * pipe);
  }
  const dots = new Float64Array(city.meters.at.length);
  for (let n = 0; n < dots.length; n += 2) {
    const p = project(city.meters.at[n] / 10, city.meters.at[n + 1] / 10);
    dots[n] = p.x;
    dots[n + 1] = p.y;
  }
  return { ids, main, ends, corners, box, dots, names: city.meters.ids };
}

export const CityNet = L.Renderer.extend({
  initialize(net, style) {
    L.Renderer.prototype.initialize.call(this, { padding: 0.25 });
    this.net = net;
    this.style = style;
    this.lit = new Map();
    this.spots = [];
  },
  _initContainer() {
    this._container = document.createElement("canvas");
    this._pen = this._container.getContext("2d");
  },
  _destroyContainer() {
    this._container.remove();
  },
  _updatePaths() {},
  _onZoom() {
    this._updateTransform(this._map.getCenter(), this._map.getZoom());
  },
  _update() {
    if (this._map._animatingZoom && this._bounds) return;
    L.Renderer.prototype._update.call(this);
    const size = this._bounds.getSize();
    const fine = Math.min(2, window.devicePixelRatio || 1);
    L.DomUtil.setPosition(this._container, this._bounds.min);
    this._container.width = fine * size.x;
    this._container.height = fine * size.y;
    this._container.style.width = `${size.x}px`;
    this._container.style.height = `${size.y}px`;
    this._pen.scale(fine, fine);
    this.draw(size);
    this.fire("update");
  },
  redraw() {
    if (this._map) this._update();
  },
  // Factor and shift from zoom 0 to pixels of the canvas.
  view() {
    const scale = 2 ** this._map.getZoom();
    const origin = this._map.getPixelOrigin().add(this._bounds.min);
    return { scale, left: origin.x, top: origin.y };
  },
  draw(size) {
    const began = performance.now();
    const view = this.view();
    this.spots = [];
    this.cells = 0;
    this.discs(size, view);
    this.pipes(size, view);
    this.took = performance.now() - began;
  },
  pipes(size, { scale, left, top }) {
    const { main, ends, corners, box, ids } = this.net;
    const pen = this._pen;
    const paths = [new Path2D(), new Path2D()];
    const wide = Math.ceil(size.x);
    const taken = [new Uint8Array(wide * Math.ceil(size.y)), new Uint8Array(wide * Math.ceil(size.y))];
    const bright = [];
    const spacing = Math.max(8, Math.sqrt((size.x * size.y) / MOST_DOTS));
    const named = new Set();
    for (let pipe = 0; pipe < main.length; pipe++) {
      const x0 = box[4 * pipe] * scale - left;
      const y0 = box[4 * pipe + 1] * scale - top;
      const x1 = box[4 * pipe + 2] * scale - left;
      const y1 = box[4 * pipe + 3] * scale - top;
      if (x1 < 0 || y1 < 0 || x0 > size.x || y0 > size.y) continue;
      if (this.lit.has(ids[pipe])) bright.push(pipe);
      const kind = main[pipe];
      if (x1 - x0 < 1 && y1 - y0 < 1) {
        const cell = Math.max(0, y0 | 0) * wide + Math.max(0, x0 | 0);
        if (taken[kind][cell]) continue;
        taken[kind][cell] = 1;
        paths[kind].moveTo(x0, y0);
        paths[kind].lineTo(x0 + 1, y0);
        continue;
      }
      this.line(paths[kind], pipe, scale, left, top, (x, y) => {
        const spot = Math.round(x / spacing) * 100003 + Math.round(y / spacing);
        if (!named.has(spot) && this.spots.length < MOST_DOTS) {
          named.add(spot);
          this.spots.push([x, y]);
        }
      });
    }
    pen.lineJoin = pen.lineCap = "round";
    [this.style.pipe, this.style.main].forEach((colour, kind) => {
      pen.strokeStyle = colour;
      pen.lineWidth = kind ? 3 : 1.5;
      pen.stroke(paths[kind]);
    });
    bright.sort((a, b) => this.lit.get(ids[a]) - this.lit.get(ids[b]));
    for (const pipe of bright) {
      const share = this.lit.get(ids[pipe]);
      const path = new Path2D();
      this.line(path, pipe, scale, left, top);
      pen.globalAlpha = 0.25 + 0.75 * share;
      pen.strokeStyle = this.style.lit;
      pen.lineWidth = 3 + 3 * share;
      pen.stroke(path);
    }
    pen.globalAlpha = 1;
  },
  // Corners that lie closer than a pixel to the one before are left out; `pass` hears places along the line.
  line(path, pipe, scale, left, top, pass) {
    const { ends, corners } = this.net;
    const [first, last] = [pipe ? ends[pipe - 1] : 0, ends[pipe] - 1];
    let [px, py] = [corners[2 * first] * scale - left, corners[2 * first + 1] * scale - top];
    path.moveTo(px, py);
    pass?.(px, py);
    for (let corner = first + 1; corner <= last; corner++) {
      const x = corners[2 * corner] * scale - left;
      const y = corners[2 * corner + 1] * scale - top;
      if (corner < last && Math.abs(x - px) < DETAIL && Math.abs(y - py) < DETAIL) continue;
      path.lineTo(x, y);
      if (pass) {
        const steps = Math.min(60, Math.ceil(Math.hypot(x - px, y - py) / 16));
        for (let step = 1; step <= steps; step++) pass(px + ((x - px) * step) / steps, py + ((y - py) * step) / steps);
      }
      [px, py] = [x, y];
    }
  },
  // Meters: dots where they stand apart, else a disc for each cell of a grid that does not move with the view.
  discs(size, { scale, left, top }) {
    const { dots } = this.net;
    const pen = this._pen;
    const inside = [];
    for (let n = 0; n < dots.length; n += 2) {
      const x = dots[n] * scale - left;
      const y = dots[n + 1] * scale - top;
      if (x > -8 && y > -8 && x < size.x + 8 && y < size.y + 8) inside.push(n);
    }
    pen.fillStyle = this.style.dot;
    pen.beginPath();
    if (inside.length * 60 < size.x * size.y || this._map.getZoom() >= this._map.getMaxZoom()) {
      for (const n of inside) {
        const x = dots[n] * scale - left;
        const y = dots[n + 1] * scale - top;
        pen.moveTo(x + 1.5, y);
        pen.arc(x, y, 1.5, 0, 2 * Math.PI);
      }
      pen.fill();
      return;
    }
    const cells = new Map();
    for (const n of inside) {
      const key = `${Math.floor((dots[n] * scale) / CELL)},${Math.floor((dots[n + 1] * scale) / CELL)}`;
      const cell = cells.get(key);
      if (cell) {
        cell.x += dots[n];
        cell.y += dots[n + 1];
        cell.count += 1;
      } else cells.set(key, { x: dots[n], y: dots[n + 1], count: 1 });
    }
    this.cells = cells.size;
    for (const { x, y, count } of cells.values()) {
      const radius = Math.min(CELL / 2 - 2, 1.5 + 1.1 * Math.sqrt(count));
      const [cx, cy] = [(x / count) * scale - left, (y / count) * scale - top];
      pen.moveTo(cx + radius, cy);
      pen.arc(cx, cy, radius, 0, 2 * Math.PI);
    }
    pen.globalAlpha = 0.45;
    pen.fill();
    pen.globalAlpha = 1;
  },
  // The meter at a place of the map, empty where none stands near or where they are drawn as discs.
  meterAt(layerPoint) {
    if (this.cells || !this._bounds) return "";
    const { dots, names } = this.net;
    const { scale, left, top } = this.view();
    const [x, y] = [layerPoint.x - this._bounds.min.x, layerPoint.y - this._bounds.min.y];
    let [best, near] = [-1, 64];
    for (let n = 0; n < dots.length; n += 2) {
      const far = (dots[n] * scale - left - x) ** 2 + (dots[n + 1] * scale - top - y) ** 2;
      if (far < near) [best, near] = [n / 2, far];
    }
    return best < 0 ? "" : names[best];
  },
});
