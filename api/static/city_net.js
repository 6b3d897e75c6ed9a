// Draws pipes and meters of a city on one canvas. At each zoom only what is in sight is drawn: many pipes pixel by pixel,
// few as lines, and for meters that stand close one disc for each cell of a grid.
import { leaflet as L } from "nicegui-leaflet";

const CELL = 26;
const DETAIL = 1.2;
const AT_ONCE = 200;
const MANY = 2500;
const MOST_DOTS = 1500;

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

// A colour of the style sheet as the four bytes of a pixel.
function packed(colour) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  return new Uint32Array(pen.getImageData(0, 0, 1, 1).data.buffer)[0];
}

// Lines of one kind, drawn some at a time: one path of many thousands takes seconds where there is no graphics card.
class Strokes {
  constructor(pen, colour, width) {
    Object.assign(this, { pen, colour, width, count: 0, path: new Path2D() });
  }
  moveTo(x, y) {
    if (this.count > AT_ONCE) this.end();
    this.path.moveTo(x, y);
  }
  lineTo(x, y) {
    this.path.lineTo(x, y);
    this.count += 1;
  }
  end() {
    this.pen.strokeStyle = this.colour;
    this.pen.lineWidth = this.width;
    this.pen.lineJoin = "bevel";
    this.pen.lineCap = "butt";
    this.pen.stroke(this.path);
    this.path = new Path2D();
    this.count = 0;
  }
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
    this.pipes(size, view);
    this.discs(size, view);
    this.took = performance.now() - began;
  },
  pipes(size, view) {
    const { scale, left, top } = view;
    const { main, box, ids } = this.net;
    const pen = this._pen;
    const seen = [];
    const bright = [];
    for (let pipe = 0; pipe < main.length; pipe++) {
      if (box[4 * pipe + 2] * scale < left || box[4 * pipe + 3] * scale < top) continue;
      if (box[4 * pipe] * scale > left + size.x || box[4 * pipe + 1] * scale > top + size.y) continue;
      (this.lit.has(ids[pipe]) ? bright : seen).push(pipe);
    }
    const spacing = Math.max(8, Math.sqrt((size.x * size.y) / MOST_DOTS));
    const named = new Set();
    const pass = (x, y) => {
      const spot = Math.round(x / spacing) * 100003 + Math.round(y / spacing);
      if (named.has(spot) || this.spots.length >= MOST_DOTS) return;
      named.add(spot);
      this.spots.push([x, y]);
    };
    if (seen.length > MANY) this.plot(seen, size, view, pass);
    else {
      const paths = [new Strokes(pen, this.style.pipe, 1.5), new Strokes(pen, this.style.main, 3)];
      for (const pipe of seen) this.line(paths[main[pipe]], pipe, scale, left, top, pass);
      for (const path of paths) path.end();
    }
    pen.lineJoin = pen.lineCap = "round";
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
  // Many pipes pixel by pixel: strokes of so many lines would take a second, this takes milliseconds.
  plot(seen, size, { scale, left, top }, pass) {
    const fine = this._container.width / size.x;
    const [wide, high] = [this._container.width, this._container.height];
    const picture = this._pen.createImageData(wide, high);
    const pixels = new Uint32Array(picture.data.buffer);
    const { main, ends, corners } = this.net;
    const inks = [this.style.pipe, this.style.main].map(packed);
    for (const kind of [0, 1]) {
      const broad = Math.round((kind ? 2 : 1) * fine);
      for (const pipe of seen) {
        if (main[pipe] !== kind) continue;
        const first = pipe ? ends[pipe - 1] : 0;
        let x = (corners[2 * first] * scale - left) * fine;
        let y = (corners[2 * first + 1] * scale - top) * fine;
        pass(x / fine, y / fine);
        for (let corner = first + 1; corner < ends[pipe]; corner++) {
          const [toX, toY] = [(corners[2 * corner] * scale - left) * fine, (corners[2 * corner + 1] * scale - top) * fine];
          const steps = Math.max(1, Math.ceil(Math.max(Math.abs(toX - x), Math.abs(toY - y))));
          if (steps < 2 * (wide + high)) {
            for (let step = 0; step <= steps; step++) {
              const px = (x + ((toX - x) * step) / steps) | 0;
              const py = (y + ((toY - y) * step) / steps) | 0;
              for (let more = 0; more < broad; more++) {
                if (px >= 0 && py + more >= 0 && px < wide && py + more < high) pixels[(py + more) * wide + px] = inks[kind];
                if (px + more >= 0 && py >= 0 && px + more < wide && py < high) pixels[py * wide + px + more] = inks[kind];
              }
            }
          }
          [x, y] = [toX, toY];
        }
      }
    }
    this._pen.putImageData(picture, 0, 0);
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
