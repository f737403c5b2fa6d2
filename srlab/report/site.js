"use strict";
const facts = JSON.parse(document.getElementById("facts").textContent);
const $ = id => document.getElementById(id);
const views = {};  // by section: show(parts of the address)

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value != null) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function svg(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

const written = (value, digits) => {
  const text = value.toFixed(digits).replace("-", "−");
  return /[1-9]/.test(text) ? text : text.replace("−", "");
};
const signed = (value, digits) => (value > 0 && /[1-9]/.test(written(value, digits)) ? "+" : "") + written(value, digits);
const percent = share => `${written(100 * share, 0)} %`;

/** Keep one view in the address, without a new entry of the history. */
const remember = (...parts) => history.replaceState(null, "", `#${parts.map(part => encodeURIComponent(part)).join("/").replaceAll("%2C", ",")}`);

/** Fill a group of buttons of which one is pressed; `choose(key)` hears of a click. */
function chips(root, entries, choose) {
  root.replaceChildren(...entries.map(([key, label]) => el("button", {"data-key": key, "aria-pressed": "false", onclick: () => choose(key)}, label)));
}
const press = (root, key) => root.querySelectorAll("[data-key]").forEach(each => each.setAttribute("aria-pressed", each.dataset.key === String(key)));
const options = (select, entries) => select.replaceChildren(...entries.map(([key, label]) => el("option", {value: key}, label)));

/** Draw values with intervals, one row each, over an axis of `unit`; rows keep their places, so that a change moves their dots. */
function forest(root, rows, {low, high, digits = 3, unit = "", ticks, band, claim, log = false, plain = false}) {
  const to = value => log ? Math.log(Math.max(value, 1e-9)) : value;
  const at = value => Math.max(0, Math.min(100, 100 * (to(value) - to(low)) / (to(high) - to(low))));
  const word = plain ? written : signed;
  const names = rows.map(row => row.name).join("|");
  if (root.dataset.names !== names) {
    root.dataset.names = names;
    const axis = ticks.map(tick => el("span", {style: `left:${at(tick)}%`}, word(tick, log || Math.abs(tick) >= 1 || !tick ? (tick % 1 ? 2 : 0) : 2)));
    root.className = "forest";
    root.replaceChildren(...rows.map(() => el("div", {class: "row"}, el("span"), el("span", {class: "track"}), el("span"))),
      el("div", {class: "row axis"}, el("span"), el("span", {class: "track"}, ...axis), el("span")),
      el("div", {class: "row axis"}, el("span"), el("span", {class: "unit"}), el("span")));
  }
  root.querySelector(".unit").textContent = unit;
  rows.forEach((row, i) => {
    const [name, track, number] = root.children[i].children;
    root.children[i].style.setProperty("--c", row.colour ?? "var(--link)");
    name.textContent = row.label;
    if (!track.children.length)
      track.append(...["band", "zero", "claim", "ci", "dot"].map(part => el("b", {class: part})));
    const [shade, zero, claimed, ci, dot] = track.children, value = row.value;
    shade.hidden = !band; zero.hidden = at(log ? 1 : 0) <= 0; claimed.hidden = claim == null;
    if (band) shade.style.cssText = `left:${at(band[0])}%;width:${at(band[1]) - at(band[0])}%`;
    zero.style.left = `${at(log ? 1 : 0)}%`;
    if (claim != null) claimed.style.left = `${at(claim)}%`;
    ci.hidden = dot.hidden = !value;
    number.textContent = row.text ?? "not measured";
    if (!value) return;
    dot.style.left = `${at(value[0])}%`;
    ci.hidden = value[1] == null || value[2] == null;
    if (!ci.hidden) ci.style.cssText = `left:${at(value[1])}%;width:${at(value[2]) - at(value[1])}%`;
    number.textContent = row.text ?? word(value[0], digits) + (ci.hidden ? "" : ` [${word(value[1], digits)}, ${word(value[2], digits)}]`) + (row.note ? ` · ${row.note}` : "");
  });
}

async function inflate(text) {
  const packed = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  return new Uint8Array(await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
}

/** Draw side × side pixels; `colour(i)` returns red, green, blue and perhaps opacity. */
function paint(canvas, side, colour) {
  [canvas.width, canvas.height] = [side, side];
  const pixels = new ImageData(side, side);
  for (let i = 0; i < side * side; i++) {
    const [red, green, blue, opacity = 255] = colour(i);
    pixels.data.set([red, green, blue, opacity], 4 * i);
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

async function pixels(address, side) {
  const image = new Image(), canvas = el("canvas");
  image.src = address;
  await image.decode();
  [canvas.width, canvas.height] = [side, side];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const {data} = context.getImageData(0, 0, side, side);
  return Uint8Array.from({length: 3 * side * side}, (_, i) => data[4 * Math.floor(i / 3) + i % 3]);
}
const mix = (from, to, share) => from.map((part, i) => part + (to[i] - part) * share);
const SEEN = [75, 135, 215], WEIGHT = [255, 150, 0], rgb = (bytes, i) => [bytes[3 * i], bytes[3 * i + 1], bytes[3 * i + 2]];
const grey = ([red, green, blue]) => { const pale = 150 + 0.35 * (0.3 * red + 0.6 * green + 0.1 * blue); return [pale, pale, pale]; };

/** Title both axes of a chart that is `width` × `height` px and begins `left` px from its edge. */
function titled(chart, {width, height, left}, across, up) {
  chart.append(svg("text", {x: (left + width) / 2, y: height - 4, "text-anchor": "middle"}, across),
    svg("text", {transform: `translate(12 ${(height - 44) / 2}) rotate(-90)`, "text-anchor": "middle"}, up));
}

// --- hero: tap a mechanism and see where it looks ---------------------------------------------------------------

const hero = {kind: null, image: 0, network: 0, tile: 0};

function share(kind, level, size) {  // of the weight, by the level that the file keeps
  if (level < 1) return 0;
  const place = (level - 1) / (facts.looks[kind].levels - 1);
  return kind === "recall" ? (0.01 / size) ** (1 - place) : 0.1 * 10 ** (4 * place) / size;
}

const opened = {};
const openLooks = kind => opened[kind] ??= unpack(facts.looks[kind], kind === "recall");

/** Give each look of each network its map and, of recall, what it wrote. */
async function unpack(set, cuts) {
  const maps = await inflate(set.maps), cut = cuts ? 3 * (set.scale * (2 + 2 * set.margin)) ** 2 : 0;
  for (const image of set.images) {
    image.pixels = image.picture ? await pixels(image.picture, image.side) : await inflate(image.lr);
    if (cuts) for (const tile of image.tiles) [tile.damaged, tile.truth] = await Promise.all([tile.damaged, tile.truth].map(inflate));
  }
  let start = 0;
  for (const network of set.networks) network.looks.forEach((looks, i) => looks.forEach(look => {
    look.map = maps.subarray(start, start += set.images[i].side ** 2);
    look.cut = maps.subarray(start, start += cut);
  }));
  return set;
}

function drawMap(canvas, kind, image, look, rings) {
  const size = image.side ** 2, most = Math.max(16 / size, share(kind, look.map.reduce((a, b) => Math.max(a, b)), size));
  paint(canvas, image.side, i => {
    const base = grey(rgb(image.pixels, i)), level = look.map[i];
    return level ? mix(mix(base, SEEN, 0.45), WEIGHT, Math.min(1, Math.sqrt(share(kind, level, size) / most))) : base;
  });
  if (rings) mark(canvas, image, rings, Array.from(look.map, level => share(kind, level, size)));
}

/** Draw an image's pixels anew, larger, with a ring around the query, a square around its copy, and discs on weights above 5 %. */
function mark(canvas, image, tile, weights = []) {
  const small = el("canvas", {width: image.side, height: image.side}), wide = 8;
  small.getContext("2d").drawImage(canvas, 0, 0);
  [canvas.width, canvas.height] = [wide * image.side, wide * image.side];
  const context = canvas.getContext("2d"), half = tile.damaged ? 1 : 0.5;
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  weights.forEach((weight, i) => {
    if (weight <= 0.05) return;
    context.beginPath();
    context.arc(wide * (i % image.side + 0.5), wide * (Math.floor(i / image.side) + 0.5), 2.4 * wide * Math.sqrt(weight), 0, 2 * Math.PI);
    Object.assign(context, {fillStyle: `rgb(${WEIGHT})`, strokeStyle: "#000", lineWidth: 2}).fill();
    context.stroke();
  });
  const away = wide * (tile.damaged ? 3.4 : 2.6);
  for (const [place, colour] of [[tile.at, "#ff3b30"], [tile.copy, "#22c04a"]]) if (place)
    for (const [ink, width] of [["#fff", 9], [colour, 5]]) {
      const [x, y] = [place[1], place[0]].map(part => wide * (part + half));
      context.beginPath();
      if (place === tile.copy) context.rect(x - away, y - away, 2 * away, 2 * away);
      else context.arc(x, y, away, 0, 2 * Math.PI);
      Object.assign(context, {strokeStyle: ink, lineWidth: width}).stroke();
    }
}

function cutFigure(bytes, caption) {
  const side = Math.sqrt(bytes.length / 3), canvas = el("canvas");
  paint(canvas, side, i => rgb(bytes, i));
  return el("figure", {}, canvas, el("figcaption", {}, caption));
}

async function drawHero(keep = false) {
  const {kind} = hero, set = await openLooks(kind);
  if (kind !== hero.kind) return;  // a later choice draws
  const image = set.images[hero.image], tile = image.tiles[hero.tile];
  const network = set.networks[hero.network], look = network.looks[hero.image][hero.tile];
  press($("look-image"), `${kind} ${hero.image}`);
  paint($("look-input"), image.side, i => rgb(image.pixels, i));
  mark($("look-input"), image, tile);
  drawMap($("look-map"), kind, image, look, tile);
  $("look-name").textContent = network.label;
  const all = image.side ** 2, lines = [el("p", {class: "fact"}, el("b", {}, network.label), network.idea ? `: ${network.idea}. It` : "", look.text ? ` ${look.text}` : look.keys ? ` sees ${look.keys.toLocaleString("en")} of ${all.toLocaleString("en")} pixels.` : " has no attention layer.")];
  if (tile.copy) lines.push(el("p", {class: "fact"}, look.weight == null ? "" : el("span", {}, el("b", {}, percent(look.weight)), " of its weight lies on the only copy, "), `${written(tile.distance, 0)} px away.`));
  if (tile.damaged) lines.push(el("p", {class: "fact"}, tile.copy ? (look.recall < 0 ? "It makes the tile worse." : `It gives back ${percent(look.recall)} of the lost detail.`) : "No intact copy exists in this image."),
    el("div", {class: "cuts"}, cutFigure(tile.damaged, "damaged"), cutFigure(tile.truth, "truth"), cutFigure(look.cut, "written")));
  $("look-facts").replaceChildren(...lines);
  $("look-network").replaceChildren(...set.networks.map((each, i) => {
    const canvas = el("canvas"), own = each.looks[hero.image][hero.tile];
    drawMap(canvas, kind, image, own);
    return el("button", {"data-key": i, onclick: () => { hero.network = i; drawHero(true); $("look-network").children[i].focus({preventScroll: true}); }}, canvas, each.label);
  }));
  press($("look-network"), hero.network);
  if (keep) remember(kind === "recall" ? `${tile.distance == null ? "alone" : `${written(tile.distance, 0)}px`}` : "photo", network.name, tile.at.join(","));
}

function tap(event) {
  const box = event.currentTarget.getBoundingClientRect(), image = facts.looks[hero.kind].images[hero.image];
  const [row, col] = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width].map(part => part * image.side);
  const far = image.tiles.map(tile => Math.hypot(tile.at[0] - row, tile.at[1] - col));
  hero.tile = far.indexOf(Math.min(...far));
  drawHero(true);
}

function move(event) {
  const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key], image = facts.looks[hero.kind].images[hero.image];
  if (!step) return;
  event.preventDefault();
  hero.tile = (hero.tile + step + image.tiles.length) % image.tiles.length;
  drawHero(true);
}

/** Show the tile at row, col of whichever image has it; false if the address names nothing here. */
function showHero([kind, name, at]) {
  const to = kind === "photo" ? "photograph" : "recall", set = facts.looks[to];
  const network = set?.networks.findIndex(each => each.name === name) ?? -1;
  if (network < 0) return false;
  const image = Math.max(0, set.images.findIndex(each => each.tiles.some(tile => tile.at.join(",") === at)));
  Object.assign(hero, {kind: to, image, network, tile: Math.max(0, set.images[image].tiles.findIndex(tile => tile.at.join(",") === at))});
  return drawHero(), true;
}

if (Object.keys(facts.looks).length) {
  const kinds = Object.entries(facts.looks).sort(([a], [b]) => b.localeCompare(a));  // recall first
  chips($("look-image"), kinds.flatMap(([kind, set]) => set.images.map((image, i) => [`${kind} ${i}`, kind === "recall" ? `recall image ${i + 1}` : image.name.replaceAll("_", " ")])), key => {
    const [kind, image] = key.split(" ");
    Object.assign(hero, {kind, image: Number(image), tile: 0, network: Math.min(hero.network, facts.looks[kind].networks.length - 1)});
    farthest();
    drawHero(true);
  });
  const farthest = () => {
    const {tiles} = facts.looks[hero.kind].images[hero.image], far = tiles.map(tile => tile.distance ?? -1);
    hero.tile = hero.kind === "recall" ? far.indexOf(Math.max(...far)) : Math.floor(tiles.length / 2);
  };
  hero.kind = kinds.reduce((best, [kind, set]) => set.networks.length > facts.looks[best].networks.length ? kind : best, kinds[0][0]);
  hero.network = Math.max(0, facts.looks[hero.kind].networks.findIndex(each => ["trunk_lsp", "lcoan"].includes(each.name)));
  farthest();
  for (const id of ["look-input", "look-map"]) { $(id).addEventListener("click", tap); $(id).addEventListener("keydown", move); }
}

// --- the recall test, and who invents ---------------------------------------------------------------------------

if (facts.recall) {
  const {bins, arms} = facts.recall, slider = $("test-distance");
  [slider.min, slider.max] = [bins[0][0], bins.at(-1)[1]];
  const place = (node, x, y) => { node.style.left = `${50 + x}%`; node.style.top = `${50 + y}%`; };
  let angle = -0.6;
  const show = (distance, keep) => {
    slider.value = distance = Math.max(slider.min, Math.min(slider.max, Math.round(distance)));
    const bin = Math.max(0, bins.findLastIndex(([from]) => distance >= from));
    $("test-output").textContent = `${distance} px`;
    const [lost, copy] = $("test-field").children;
    place(lost, -Math.cos(angle) * distance * 0.78, -Math.sin(angle) * distance * 0.78);
    place(copy, Math.cos(angle) * distance * 0.78, Math.sin(angle) * distance * 0.78);
    forest($("test-bars"), arms.map(arm => ({...arm, value: arm.curve[bin]})), {low: -0.2, high: 1.2, digits: 2, plain: true, ticks: [0, 0.5, 1], unit: `recall of copies ${bins[bin].join(" to ")} LR px away`});
    if (keep) remember("test", distance);
  };
  slider.addEventListener("input", () => show(Number(slider.value), true));
  $("test-field").addEventListener("pointermove", event => {
    if (!event.buttons && event.pointerType === "mouse") return;
    const box = $("test-field").getBoundingClientRect(), x = event.clientX - box.left - box.width / 2, y = event.clientY - box.top - box.height / 2;
    angle = Math.atan2(y, x);
    show(Math.hypot(x, y) / box.width / 0.78 * 100, true);
  });
  views.test = ([distance]) => distance && show(Number(distance));
  show(facts.recall.far);
  const guess = side => {
    press($("invents-guess"), side);
    $("invents-answer").hidden = false;
    forest($("invents-bars"), arms.map(arm => ({...arm, value: arm.invented})), {low: -1, high: 0.2, digits: 2, ticks: [-1, -0.5, 0], unit: "score (−1: random detail, 0: left alone)"});
    remember("invents", side);
    if (facts.looks.recall) alone(true);
  };
  const alone = async told => {
    const {images, networks} = await openLooks("recall"), tile = images[0].tiles.findIndex(each => !each.copy);
    if (told) $("invents-cuts").replaceChildren(cutFigure(images[0].tiles[tile].truth, "truth"), ...networks.map(each => cutFigure(each.looks[0][tile].cut, each.label)));
    else $("invents-tile").replaceChildren(cutFigure(images[0].tiles[tile].damaged, "damaged"));
  };
  if (facts.looks.recall) alone(false);
  chips($("invents-guess"), [["top", "top"], ["bottom", "bottom"], ["left", "left"], ["right", "right"], ["unknown", "nobody can know"]], guess);
  views.invents = ([side]) => side && guess(side);
}

if (facts.recall?.embedding.length) {
  const {embedding, arms, margin} = facts.recall, rows = embedding.flatMap(row => ["tied", "untied"].map(kind => ({name: `${row.label} ${kind}`, label: `${row.label}, ${kind}`, colour: row.colour, value: row[kind]})));
  const control = arms.filter(each => each.name === "no_attention").map(each => ({...each, value: each.far}));
  forest($("embedding-recall"), [...rows, ...control], {low: -0.2, high: 1.2, digits: 2, plain: true, ticks: [0, 0.5, 1], unit: "recall"});
  forest($("embedding-difference"), embedding.map(row => ({name: row.label, label: row.label, colour: row.colour, value: row.difference, note: row.verdict})), {low: -1.1, high: 1.1, digits: 2, band: [-margin, margin], ticks: [-1, 0, 1], unit: "difference in recall"});
}
if (facts.learning) {
  const {arms, most} = facts.learning, slider = $("learn-step"), chart = $("learn-chart"), button = $("learn-play");
  [slider.max, slider.step] = [most, 50];
  let timer = null;
  const draw = step => {
    const width = chart.clientWidth || 500, height = 280, left = 48, x = at => left + at * (width - left - 12) / most, y = value => 10 + (height - 60) * (1.05 - Math.max(-0.2, value)) / 1.25;
    chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
    chart.replaceChildren(...[0, 0.5, 1].flatMap(tick => [svg("line", {class: "grid", x1: left, x2: width - 12, y1: y(tick), y2: y(tick)}), svg("text", {x: left - 6, y: y(tick) + 4, "text-anchor": "end"}, tick)]),
      ...[0, most / 2, most].map(tick => svg("text", {x: x(tick), y: height - 26, "text-anchor": tick < most ? "middle" : "end"}, Math.round(tick).toLocaleString("en"))), svg("line", {class: "now", x1: x(step), x2: x(step), y1: 6, y2: height - 44}));
    titled(chart, {width, height, left}, "steps of training", "recall, mean of 50 steps");
    for (const arm of arms) for (const run of arm.runs) {
      const own = run.filter(([at]) => at <= step), path = svg("path", {class: "line", style: `--c:${arm.colour}`, "stroke-dasharray": arm.other ? "5 4" : "none", d: own.map(([at, value], i) => `${i ? "L" : "M"}${x(at)} ${y(value)}`).join("")});
      chart.append(path);
    }
  };
  const show = (step, keep) => {
    slider.value = step;
    $("learn-output").textContent = step.toLocaleString("en");
    const rows = arms.map(arm => {
      const values = arm.runs.map(run => run.findLast(([at]) => at <= step)?.[1] ?? 0), mean = values.reduce((sum, each) => sum + each, 0) / values.length;
      const many = values.length > 1 ? ` (${values.length} seeds, ${written(Math.min(...values), 2)} to ${written(Math.max(...values), 2)})` : "";
      return {...arm, value: [mean], text: `${written(mean, 2)}${many}${arm.runs.every(run => run.at(-1)[0] <= step) ? " · ended" : ""}`};
    });
    forest($("learn-bars"), rows, {low: -0.2, high: 1.1, plain: true, digits: 2, ticks: [0, 0.5, 1], unit: "recall"});
    draw(step);
    if (keep) remember("learn", step);
  };
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  const next = () => {
    const step = Math.min(most, Number(slider.value) + 50);
    if (step === most) stop();
    show(step, step === most);
  };
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) >= most) show(0);
    button.textContent = "Pause";
    timer = setInterval(next, Math.min(100, 4000 * 50 / most));
  });
  slider.addEventListener("input", () => { stop(); show(Number(slider.value), true); });
  chart.addEventListener("click", event => { const box = chart.getBoundingClientRect(); stop(); show(Math.max(0, Math.min(most, 50 * Math.round((event.clientX - box.left - 48) / (box.width - 60) * most / 50))), true); });
  views.learn = ([step]) => step && show(Math.max(0, Math.min(most, Number(step))));
  addEventListener("resize", () => draw(Number(slider.value)));
  show(most);
}

// --- how LSP chooses, step by step ------------------------------------------------------------------------------

if (facts.lsp) {
  const {lsp} = facts, count = lsp.side ** 2, canvas = $("lsp-canvas"), slider = $("lsp-step"), words = [...$("lsp-words").children];
  slider.max = words.length - 1;
  const loaded = Promise.all([pixels(lsp.picture, lsp.side), inflate(lsp.maps)]).then(([image, maps]) => {
    const [low, high, windows, weights] = [0, 1, 2, 3].map(i => maps.subarray(i * count, (i + 1) * count));
    const labels = Array.from(low, (part, i) => part + 256 * high[i]);
    const names = [...new Set(labels)].sort((a, b) => a - b);
    return {image, labels, windows, weights, names, order: Array.from(labels.keys()).sort((a, b) => labels[a] - labels[b] || a - b)};
  });
  const hue = place => { const part = shift => 128 + 95 * Math.sin(2.4 * place + shift); return [part(0), part(2.1), part(4.2)]; };
  const show = async (step, keep) => {
    slider.value = step;
    words.forEach((each, i) => { each.hidden = i !== step; });
    const {image, labels, windows, weights, names, order} = await loaded;
    const cluster = i => hue(names.indexOf(labels[i])), plain = i => rgb(image, i), most = weights.reduce((a, b) => Math.max(a, b));
    const window = i => windows[i] ? mix(plain(i), windows[i] === 2 ? WEIGHT : SEEN, 0.75) : grey(plain(i));
    paint(canvas, lsp.side, [plain, cluster, i => cluster(order[i]), i => windows[order[i]] ? window(order[i]) : mix(cluster(order[i]), [128, 128, 128], 0.7), window,
      i => weights[i] ? mix(mix(grey(plain(i)), SEEN, 0.4), WEIGHT, Math.max(0, (weights[i] - 0.7 * most) / (0.3 * most))) : grey(plain(i))][step]);
    if (step !== 2 && step !== 3) mark(canvas, lsp, lsp);
    if (keep) remember("lsp", step + 1);
  };
  slider.addEventListener("input", () => show(Number(slider.value), true));
  $("lsp-back").addEventListener("click", () => show(Math.max(0, Number(slider.value) - 1), true));
  $("lsp-next").addEventListener("click", () => show((Number(slider.value) + 1) % words.length, true));
  views.lsp = ([step]) => step && show(Math.max(0, Math.min(words.length, Number(step)) - 1));
  show(0);
}

// --- photographs: gains, and a wipe ------------------------------------------------------------------------------

if (facts.gains) {
  const {rows, margin} = facts.gains;
  forest($("gains-bars"), rows, {low: -0.06, high: 0.12, band: [-margin, margin], ticks: [-0.05, 0, 0.05, 0.1], unit: "gain over the control (dB)"});
}
document.querySelectorAll("[data-frozen]").forEach((bars, i) => {
  const {rows, margin} = facts.frozen[i], ends = rows.flatMap(row => row.value.slice(1)).map(Math.abs), end = Math.max(1.3 * margin, 1.05 * Math.max(...ends));
  forest(bars, rows, {low: -end, high: end, band: [-margin, margin], ticks: [-margin, 0, margin], unit: "gain over a local layer (dB)"});
});
const arriving = new Map();
/** Called by a data file. */
function arrived([name, pictures]) { arriving.get(name).resolve(pictures); }
function ask(image) {
  if (!arriving.has(image.name)) {
    const waiting = {};
    waiting.promise = new Promise(resolve => { waiting.resolve = resolve; });
    arriving.set(image.name, waiting);
    document.head.append(el("script", {src: image.file}));
  }
  return arriving.get(image.name).promise;
}
if (facts.photographs) {
  const {images, names: sides} = facts.photographs, names = Object.fromEntries(sides), box = $("wipe"), slider = $("wipe-edge");
  options($("wipe-image"), images.map((image, i) => [i, image.name.replaceAll("_", " ")]));
  options($("wipe-left"), [...sides, ["HR", "original"]]);
  options($("wipe-right"), [["HR", "original"], ...sides]);
  $("wipe-right").value = "hit_srf" in names ? "hit_srf" : sides.at(-1)[0];
  const wipe = share => { slider.value = share; box.children[1].style.clipPath = `inset(0 ${100 - share}% 0 0)`; box.children[2].style.left = `calc(${share}% - 1.5px)`; };
  const chosen = () => {
    const image = images[$("wipe-image").value];
    return {image, ends: [$("wipe-right").value, $("wipe-left").value].map(name => [name, name === "HR" ? "original" : `${names[name]}, ${written(image.psnr[name], 2)} dB`])};
  };
  const label = ends => ends.forEach(([, words], i) => { $(["wipe-right-name", "wipe-left-name"][i]).textContent = words; });
  const show = async keep => {
    const {image, ends} = chosen(), shown = await ask(image);
    ends.forEach(([name, words], i) => Object.assign(box.children[i], {src: shown[name], alt: `${image.name} by ${words}`}));
    label(ends);
    if (keep) remember("photographs", image.name, ends[1][0], ends[0][0]);
  };
  for (const id of ["wipe-image", "wipe-left", "wipe-right"]) $(id).addEventListener("change", () => show(true));
  slider.addEventListener("input", () => wipe(Number(slider.value)));
  const drag = event => { const at = box.getBoundingClientRect(); if (event.buttons || event.type === "click") wipe(Math.max(0, Math.min(100, 100 * (event.clientX - at.left) / at.width))); };
  for (const kind of ["pointermove", "click"]) box.addEventListener(kind, drag);
  views.photographs = ([name, left, right]) => {
    const image = images.findIndex(each => each.name === name);
    if (image < 0) return;
    [["wipe-image", image], ["wipe-left", left], ["wipe-right", right]].forEach(([id, value]) => { if (value != null) $(id).value = value; });
    show();
  };
  wipe(50);
  label(chosen().ends);  // now, so that nothing moves when the pictures come
  new IntersectionObserver((seen, own) => { if (seen.some(each => each.isIntersecting)) { own.disconnect(); show(); } }, {rootMargin: "300px"}).observe(box);
}

// --- context curve and ceiling -----------------------------------------------------------------------------------

if (facts.context) {
  const {benchmarks, radii, margin} = facts.context, slider = $("context-radius"), state = {benchmark: 0, at: 0};
  slider.max = radii.length - 1;
  const bend = value => Math.sign(value) * Math.log10(1 + Math.abs(value) / margin);
  const draw = () => {
    const {networks} = benchmarks[state.benchmark], chart = $("context-chart"), width = chart.clientWidth || 600, height = 340, left = 62;
    const x = i => left + 10 + radii[i] * (width - left - 30) / radii.at(-1), top = bend(3), y = value => 10 + (height - 60) * (top - bend(value)) / (2 * top - 0.6);
    chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
    chart.replaceChildren(svg("rect", {class: "band", x: left, width: width - left - 10, y: y(margin), height: y(-margin) - y(margin)}));
    for (const tick of [1, 0.1, 0, -0.1, -1])
      chart.append(svg("line", {class: "grid", x1: left, x2: width - 10, y1: y(tick), y2: y(tick)}), svg("text", {x: left - 6, y: y(tick) + 4, "text-anchor": "end"}, signed(tick, tick % 1 ? 1 : 0)));
    radii.forEach((radius, i) => chart.append(svg("text", {x: x(i), y: height - 26, "text-anchor": "middle"}, radius)));
    chart.append(svg("line", {class: "now", x1: x(state.at), x2: x(state.at), y1: 6, y2: height - 44}));
    titled(chart, {width, height, left}, "true pixels around the tile, r (LR px)", "loss (dB)");
    for (const network of networks) {
      const banded = ["all", network.name].includes($("context-band").value);
      const own = svg("g", {style: `--c:${network.colour}`, class: banded ? "banded" : "plain"});
      const ends = [...network.curve.map(([, low], i) => [i, low]), ...network.curve.map(([,, high], i) => [i, high]).reverse()];
      if (banded) own.append(svg("path", {class: "interval", d: `M${ends.map(([i, value]) => `${x(i)} ${y(value)}`).join("L")}Z`}));
      own.append(svg("path", {class: "line", d: network.curve.map(([value], i) => `${i ? "L" : "M"}${x(i)} ${y(value)}`).join("")}), ...network.curve.map(([value], i) => svg("circle", {class: "mark", cx: x(i), cy: y(value), r: i === state.at ? 5 : 3})));
      chart.append(own);
    }
  };
  const show = keep => {
    const {networks, name} = benchmarks[state.benchmark];
    slider.value = state.at;
    $("context-output").textContent = `r = ${radii[state.at]} px`;
    press($("context-benchmark"), state.benchmark);
    const ends = networks.flatMap(each => each.curve.slice(1).flat().map(Math.abs)), reach = state.at ? Math.ceil(50 * Math.max(...ends)) / 50 : 3;
    $("context-bars").dataset.names = "";
    forest($("context-bars"), networks.map(each => ({...each, label: `${each.label}, n\u00a0=\u00a0${each.images}`, value: each.curve[state.at]})), {low: -reach, high: reach, digits: 3, band: [-margin, margin], ticks: [-reach, 0, reach], unit: "loss (dB); n: images"});
    draw();
    if (keep) remember("context", name, radii[state.at]);
  };
  const turn = benchmark => {  // many bands would hide each other
    const {networks} = benchmarks[state.benchmark = benchmark];
    options($("context-band"), [["all", "every network"], ...networks.map(each => [each.name, each.label])]);
    if (networks.length > 4) $("context-band").selectedIndex = 1;
  };
  $("context-band").addEventListener("change", draw);
  chips($("context-benchmark"), benchmarks.map((each, i) => [i, each.name]), key => { turn(key); show(true); });
  slider.addEventListener("input", () => { state.at = Number(slider.value); show(true); });
  $("context-chart").addEventListener("click", event => {
    const box = $("context-chart").getBoundingClientRect();
    const radius = (event.clientX - box.left - 72) / (box.width - 92) * radii.at(-1), far = radii.map(each => Math.abs(each - radius));
    state.at = far.indexOf(Math.min(...far));
    show(true);
  });
  views.context = ([name, radius]) => {
    if (!name) return;
    turn(Math.max(0, benchmarks.findIndex(each => each.name === name)));
    state.at = Math.max(0, radii.indexOf(Number(radius)));
    show();
  };
  addEventListener("resize", draw);
  turn(0);
  state.at = Math.max(0, radii.indexOf(16));
  show();
}

if (facts.ceiling) {
  const {cases} = facts.ceiling, words = ["patch of the output, found as a network can", "patch of the output, matched perfectly", "true patch, found as a network can", "true patch, matched perfectly"];
  const rowsOf = ([linear, network]) => linear.flatMap((value, i) => [{name: words[i], label: words[i], value}, ...(network ? [{name: `${words[i]} 2`, label: "the same, by a small network", value: network[i], colour: "var(--quiet)"}] : [])]);
  const state = {case: Math.max(0, cases.findIndex(each => each.base !== "bicubic")), far: Object.keys(cases[0].gains)[0]};
  const show = keep => {
    $("ceiling-case").value = state.case;
    press($("ceiling-far"), state.far);
    const rows = rowsOf(cases[state.case].gains[state.far]);
    const top = Math.max(...rows.map(row => row.value[2])), step = top > 2 ? 1 : top > 1 ? 0.5 : 0.1;
    $("ceiling-bars").dataset.names = "";
    forest($("ceiling-bars"), rows, {low: Math.min(-0.05 * top, ...rows.map(row => row.value[1])), high: 1.05 * top, ticks: Array.from({length: 1 + Math.floor(top / step)}, (_, i) => i * step), unit: "gain (dB)"});
    if (keep) remember("ceiling", state.case, state.far);
  };
  options($("ceiling-case"), cases.map((each, i) => [i, `${each.base} ×${each.scale}, ${each.benchmark}, ${each.images} images`]));
  $("ceiling-case").addEventListener("change", () => { state.case = Number($("ceiling-case").value); show(true); });
  chips($("ceiling-far"), Object.keys(cases[0].gains).map(far => [far, `${far} px away or more`]), key => { state.far = key; show(true); });
  views.ceiling = ([number, far]) => { if (cases[number]?.gains[far]) { Object.assign(state, {case: Number(number), far}); show(); } };
  show();
}

// --- cost, claims, leaderboard, conventions ------------------------------------------------------------------------

if (facts.costs) {
  const {cases} = facts.costs, slider = $("cost-size"), state = {case: 0, at: 0};
  const show = keep => {
    const own = cases[state.case], sizes = [...new Set(own.rows.flatMap(row => row.sizes))].sort((a, b) => a - b);
    slider.max = sizes.length - 1;
    slider.value = state.at = Math.min(state.at, sizes.length - 1);
    const size = sizes[state.at], shown = own.rows.find(row => row.sizes.includes(size)), words = value => `${written(value, value < 1 ? 2 : value < 10 ? 1 : 0)}×`;
    $("cost-output").textContent = shown.shown[shown.sizes.indexOf(size)];
    $("cost-case").value = state.case;
    const rows = own.rows.map(row => {
      const value = row.values[row.sizes.indexOf(size)], [middle, low, high] = value ?? [];
      return {...row, name: `${row.name} ${row.code}`, label: `${row.label}, ${row.code}`, value, text: value && `${words(middle)}${low < high ? ` [${words(low)}, ${words(high)}]` : ""} · ${!row.ahead ? "not ahead" : row.ahead === row.shown[0] ? "ahead at every size" : `ahead from ${row.ahead}`}`};
    });
    forest($("cost-bars"), rows, {low: 0.2, high: 40, log: true, plain: true, ticks: [0.25, 1, 4, 16], claim: own.claimed, unit: `rival’s ${own.what} ÷ that of ${own.arm}`});
    $("cost-note").textContent = `${own.arm} against each row. Ahead from: the interval lies above 1 at this size and at all larger ones measured. `
      + (own.claimed ? `Red line: the paper's number, ${words(own.claimed)}. ` : "The paper gives no number. ") + `Measured on ${own.workload.replace(/,? input of.*/, "")}; ${own.device}.`;
    if (keep) remember("cost", own.id, size);
  };
  options($("cost-case"), cases.map((each, i) => [i, each.title]));
  $("cost-case").addEventListener("change", () => { state.case = Number($("cost-case").value); show(true); });
  slider.addEventListener("input", () => { state.at = Number(slider.value); show(true); });
  views.cost = ([id, size]) => {
    state.case = Math.max(0, cases.findIndex(each => each.id === id));
    state.at = Math.max(0, [...new Set(cases[state.case].rows.flatMap(row => row.sizes))].sort((a, b) => a - b).indexOf(Number(size)));
    show();
  };
  state.at = 3;
  show();
}

for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => {
  const head = button.parentElement, column = head.cellIndex, body = head.closest("table").tBodies[0];
  const down = head.getAttribute("aria-sort") === (button.dataset.first ?? "ascending") ? button.dataset.first !== "descending" : button.dataset.first === "descending";
  head.parentElement.querySelectorAll("th").forEach(each => each.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = row => row.cells[column].dataset.sort ?? row.cells[column].textContent;
  const order = (a, b) => key(a) === "" ? 1 : key(b) === "" ? -1 : (down ? -1 : 1) * (isNaN(key(a)) || isNaN(key(b)) ? key(a).localeCompare(key(b)) : key(a) - key(b));
  const claim = row => row.dataset.claim ?? "";
  body.append(...[...body.rows].sort((a, b) => order(a, b) || claim(a).localeCompare(claim(b))));
  if (facts.claims) once();
});

/** Show a claim once, above all rows beside each other that are about it. */
function once() {
  let last = null;
  for (const row of $("claims-table").tBodies[0].rows) if (!row.hidden) {
    row.classList.toggle("again", row.dataset.claim === last);
    last = row.dataset.claim;
  }
}

if (facts.claims) {
  const filter = kind => {
    press($("claims-kind"), kind);
    for (const row of $("claims-table").querySelectorAll("tbody tr")) row.hidden = kind !== "all" && row.dataset.kind !== kind;
    once();
  };
  chips($("claims-kind"), [["all", `all ${facts.claims.rows.length}`], ...facts.claims.kinds.map(([kind, count]) => [kind, `${kind} (${count})`])], kind => { filter(kind); remember("claims", kind); });
  views.claims = ([kind]) => filter(kind ?? "all");
  filter("all");
}
if (facts.released) {
  const show = printed => { for (const row of document.querySelectorAll("tr.printed")) row.hidden = !printed; press($("released-kind"), printed); };
  chips($("released-kind"), [[false, "measured here"], [true, "and as printed in papers"]], printed => { show(printed === true); remember("released", printed ? "printed" : "measured"); });
  views.released = ([kind]) => show(kind === "printed");
  show(false);
}

if (facts.conventions) {
  const cases = facts.conventions.cases.map(({title, psnr}) => ({title, psnr: Object.fromEntries(psnr)})), [network, one, other] = ["db-case", "db-one", "db-other"].map($);
  options(network, cases.map((each, i) => [i, each.title]));
  const refill = () => [one, other].forEach(select => { const kept = select.value; options(select, Object.keys(cases[network.value].psnr).map(change => [change, change])); if ([...select.options].some(each => each.value === kept)) select.value = kept; });
  const show = keep => {
    const {psnr, title} = cases[network.value], [from, to] = [psnr[one.value], psnr[other.value]];
    const differences = Object.keys(from).map(name => [name, to[name] - from[name]]), mean = differences.reduce((sum, [, each]) => sum + each, 0) / differences.length;
    $("db-result").replaceChildren(`${signed(mean, 3)} dB `, el("small", {}, `mean of ${differences.length} images, ${title}`));
    const reach = 1.1 * Math.max(0.02, ...differences.map(([, each]) => Math.abs(each)));
    $("db-bars").dataset.names = "";
    forest($("db-bars"), differences.slice(0, 10).map(([name, each]) => ({name, label: name, value: [each]})), {low: -reach, high: reach, ticks: [-reach, 0, reach], unit: `change in PSNR (dB), ${differences.length > 10 ? "first 10 images" : "each image"}`});
    const every = Object.entries(psnr).filter(([name]) => name !== one.value).map(([name, images]) => {
      const own = Object.keys(from).map(image => images[image] - from[image]);
      return {name, label: name, value: [own.reduce((sum, each) => sum + each, 0) / own.length]};
    });
    forest($("db-all"), every.sort((a, b) => b.value[0] - a.value[0]), {low: -0.4, high: 0.4, band: facts.claims?.gains, ticks: [-0.4, 0, 0.4], unit: "change in mean PSNR (dB); at the ends: beyond"});
    if (keep) remember("db", network.value, one.selectedIndex, other.selectedIndex);
  };
  network.addEventListener("change", () => { refill(); show(true); });
  for (const select of [one, other]) select.addEventListener("change", () => show(true));
  views.db = ([number, from, to]) => {
    if (number == null) return;
    network.value = number;
    refill();
    [one.selectedIndex, other.selectedIndex] = [Number(from), Number(to)];
    show();
  };
  refill();
  other.value = "no border left out";
  show();
}

/** Show what the address says, and go there. */
function go() {
  const parts = location.hash.slice(1).split("/").map(decodeURIComponent), [first, ...rest] = parts;
  if (views[first] && rest.length) views[first](rest);
  if (rest.length) (showHero(parts) ? $("look") : $(first))?.scrollIntoView({behavior: "instant"});
}
addEventListener("hashchange", go);
if (hero.kind && !location.hash.includes("/")) drawHero();
else if (hero.kind) drawHero().then(go);
else go();
