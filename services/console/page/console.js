// What the console shows. Everything that comes from the log enters the page as
// text, never as markup.
"use strict";

const MAX_CARDS = 150;
const LANES = ["facts", "decisions", "commands", "outcomes"];
const RECONNECT_MS = 3000;
const LOG_NAMES = { dev: "development log", production: "production log" };

const byId = (id) => document.getElementById(id);
const items = Object.fromEntries(LANES.map((lane) => [lane, []]));
const states = new Map();
// What commands are for, by their id: an outcome names its command alone.
const accounts = new Map();
const tenants = new Set();
let paused = false;
let held = false;

/* Small builders */

function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null) continue;
    if (name === "on") element.addEventListener("click", value);
    else if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const dayTime = (text) => (text ? text.replace("T", " ").replace(/\.\d+Z$/, "") : "–");
const words = (name) => name.replaceAll("_", " ");
const short = (id) => (id ? id.slice(0, 8) + "…" + id.slice(-4) : "");
const time = (text) => make("time", { datetime: text, title: dayTime(text) + " UTC", text: dayTime(text).slice(5) });
const fullTime = (text) => make("time", { datetime: text, text: dayTime(text) });

function entityLabel(entity) {
  const parts = entity.split("/");
  const id = decodeURIComponent(parts[parts.length - 1].replace(/%(?![0-9A-F]{2})/g, "%25"));
  return parts[0] + " " + (parts.length === 2 || id.length > 20 ? id.slice(0, 10) + "…" : id);
}

function entityChip(tenant, entity) {
  return make("button", {
    class: "chip", type: "button", text: entityLabel(entity), title: "Timeline of " + entity,
    on: () => showTimeline(tenant, entity),
  });
}

function chip(text, tone) {
  return make("span", { class: "chip " + (tone || ""), text, title: text });
}

function stateTone(state) {
  if (["succeeded", "resolved", "compensated"].includes(state)) return "good";
  if (["rejected", "expired", "quarantined", "dead_lettered"].includes(state)) return "bad";
  return "wait";
}

/* Who a fact is about: people first, then the object. */
function customers(fact) {
  const all = [...(fact.names || [])];
  if (fact.about) all.unshift(fact.about);
  const rank = (entity) => ["customer", "email", "phone"].indexOf(entity.split("/")[0]) + 1 || 9;
  return all.sort((a, b) => rank(a) - rank(b)).slice(0, 3);
}

/* Cards */

function card(item, lane, what, open, when, why, chips) {
  const content = [
    make("p", { class: "when" }, ...when),
    make("button", { class: "what", type: "button", text: what, on: open }),
    why ? make("p", { class: "why", text: why }) : null,
    chips.length ? make("div", { class: "chips" }, ...chips) : null,
  ];
  return make("li", { class: "card new" }, ...content);
}

const cards = {
  facts(fact) {
    const when = [time(fact.occurred_at), make("span", { text: fact.source })];
    if (fact.arrival !== "live") when.push(make("span", { text: fact.arrival }));
    const chips = customers(fact).map((entity) => entityChip(fact.tenant, entity));
    return card(fact, "facts", fact.headline, () => showFact(fact), when, "", chips);
  },
  decisions(decision) {
    const chips = [];
    const whys = [];
    for (const choice of decision.choices) {
      for (const withheld of choice.withheld) chips.push(chip("withheld: " + words(withheld.rule), "wait"));
      for (const suppressed of choice.suppressed) chips.push(chip("not sent: " + words(suppressed.rule), "wait"));
      for (const deferred of choice.deferred) chips.push(chip("later: " + words(deferred.rule), "wait"));
      if (choice.chosen) chips.push(chip("chose " + choice.chosen, "good"));
      if (choice.holdout) chips.push(chip("holdout", "wait"));
      for (const missing of choice.missing) chips.push(chip("without " + missing, "bad"));
      for (const derived of choice.derived) chips.push(chip(derived.headline.split(":")[0]));
      whys.push(...choice.features.map((feature) => feature.name + " " + feature.shown));
      chips.push(entityChip(decision.tenant, choice.subject));
    }
    for (const parked of decision.parked) chips.push(chip(parked, "bad"));
    const when = [time(decision.decided_at), make("span", { text: decision.wakeup ? "a wakeup was due" : "with a fact" })];
    const open = () => showChain("decisions", decision.id);
    return card(decision, "decisions", decision.headline, open, when, whys.join(" · "), chips);
  },
  commands(command) {
    const known = states.get(command.id);
    const state = chip(known ? words(known.state) : "on its way", known ? stateTone(known.state) : "wait");
    state.dataset.command = command.id;
    const when = [time(command.issued_at), make("span", { text: command.vendor + " " + command.account })];
    const why = [command.lines.map((line) => line.quantity + " × " + line.title).join(", "), command.total].filter(Boolean).join(" · ");
    const chips = [state, entityChip(command.tenant, command.target)];
    return card(command, "commands", command.headline, () => showChain("commands", command.id), when, why, chips);
  },
  outcomes(outcome) {
    const by = accounts.get(outcome.command) || outcome.source;
    const when = [time(outcome.occurred_at), make("span", { text: by })];
    const why = [outcome.vendor_ref && "reference " + outcome.vendor_ref, outcome.code].filter(Boolean).join(" · ");
    const chips = [chip(words(outcome.state), stateTone(outcome.state)), chip("command " + short(outcome.command))];
    return card(outcome, "outcomes", outcome.headline, () => showChain("commands", outcome.command), when, why, chips);
  },
};

function isShown(item) {
  const tenant = byId("tenant").value;
  return !tenant || item.tenant === tenant;
}

function draw(lane, news) {
  const list = byId(lane);
  const stays = list.scrollTop > 40 ? list.scrollHeight : 0;
  for (const item of news.filter(isShown)) list.prepend(cards[lane](item));
  while (list.children.length > MAX_CARDS) list.lastChild.remove();
  // Whoever has scrolled down keeps what they read in place.
  if (stays) list.scrollTop += list.scrollHeight - stays;
}

function redraw() {
  for (const lane of LANES) {
    byId(lane).replaceChildren();
    draw(lane, items[lane].slice(-MAX_CARDS));
  }
}

/* Following */

function take(message, isSnapshot) {
  for (const lane of LANES) {
    if (isSnapshot) items[lane] = [];
    items[lane].push(...message[lane]);
    items[lane].splice(0, items[lane].length - 500);
    for (const item of message[lane]) noteTenant(item.tenant);
  }
  if (isSnapshot) states.clear();
  for (const command of message.commands) noteAccount(command);
  for (const outcome of message.outcomes) noteState(outcome);
  if (!paused) showStatus(message.status);
  if (paused) { held = true; return; }
  if (isSnapshot) redraw();
  else for (const lane of LANES) draw(lane, message[lane].slice(-MAX_CARDS));
}

function noteAccount(command) {
  accounts.set(command.id, command.vendor + " " + command.account);
  if (accounts.size > 2000) accounts.delete(accounts.keys().next().value);
}

function noteState(outcome) {
  // An earlier attempt may be reported late: what is final stays.
  const known = states.get(outcome.command);
  if (known && known.is_final && !outcome.is_final) return;
  states.set(outcome.command, { state: outcome.state, is_final: outcome.is_final });
  if (states.size > 2000) states.delete(states.keys().next().value);
  for (const state of document.querySelectorAll("[data-command]")) {
    if (state.dataset.command !== outcome.command) continue;
    state.textContent = words(outcome.state);
    state.className = "chip " + stateTone(outcome.state);
  }
}

function noteTenant(tenant) {
  if (!tenant || tenants.has(tenant)) return;
  tenants.add(tenant);
  byId("tenant").append(make("option", { value: tenant, text: tenant }));
  byId("tenant-box").hidden = tenants.size < 2;
}

function showStatus(status) {
  byId("log-time").textContent = dayTime(status.log_time);
  byId("speed").textContent = status.log_time ? status.speed_permille / 1000 + " ×" : "–";
  const lineage = byId("lineage");
  lineage.hidden = !status.kind;
  lineage.textContent = LOG_NAMES[status.kind] || "";
  lineage.title = "lineage " + status.lineage + ", " + status.places.length + " of " + status.partitions + " partitions in use";
  lineage.classList.toggle("production", status.kind === "production");
  const counts = status.counts;
  const shown = [
    ["facts", counts.facts], ["decisions", counts.decisions], ["commands", counts.commands], ["outcomes", counts.outcomes],
    ...(counts.withheld ? [["withheld", counts.withheld]] : []), ["suppressed", counts.suppressed], ["deferred", counts.deferred], ["beats", counts.beats],
  ];
  byId("counts").replaceChildren(...shown.map(([name, value]) =>
    make("div", {}, make("dt", { text: name }), make("dd", { text: value.toLocaleString("en") }))));
  byId("counted-from").textContent = status.counted_from_start ? "" : "Counted since this console began to read, not from the log's beginning.";
  const trouble = byId("trouble");
  trouble.hidden = !status.trouble;
  trouble.textContent = status.trouble ? "The log can't be followed: " + status.trouble : "";
}

function connected(text, tone) {
  const connection = byId("connection");
  if (connection.textContent !== text) connection.textContent = text;
  connection.className = "connection " + tone;
}

function follow() {
  const stream = new EventSource("/api/live");
  stream.addEventListener("open", () => connected("live", "live"));
  stream.addEventListener("snapshot", (event) => take(JSON.parse(event.data), true));
  stream.addEventListener("update", (event) => take(JSON.parse(event.data), false));
  stream.addEventListener("bye", (event) => {
    connected(JSON.parse(event.data).reason === "behind" ? "catching up…" : "stopped", "");
  });
  stream.addEventListener("error", () => {
    connected("reconnecting…", "off");
    if (stream.readyState === EventSource.CLOSED) setTimeout(follow, RECONNECT_MS);
  });
}

/* The sheet */

function openSheet(title, ...content) {
  byId("sheet-title").textContent = title;
  byId("sheet-body").replaceChildren(...content.filter(Boolean));
  const sheet = byId("sheet");
  if (!sheet.open) sheet.showModal();
  sheet.scrollTop = 0;
  byId("sheet-body").focus();
}

async function ask(title, address, show) {
  openSheet(title, make("p", { class: "note", role: "status", text: "Reading the log…" }));
  try {
    const answer = await fetch(address);
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    openSheet(title, ...show(found));
  } catch (error) {
    openSheet(title, make("p", { class: "lead", text: "Nothing to show: " + error.message }));
  }
}

const heading = (text) => make("h3", { text });

function pairs(rows) {
  const list = make("dl", { class: "pairs" });
  for (const [name, value] of rows) {
    if (value === null || value === undefined || value === "") continue;
    list.append(make("dt", { text: name }), make("dd", {}, value));
  }
  return list;
}

const mono = (text) => make("span", { class: "mono", text });

function personalRows(fields) {
  return fields.map((field) => [field.field,
    field.state === "opened" ? field.value : make("span", { class: "sealed", text: field.state })]);
}

function showChain(kind, id) {
  const title = (kind === "commands" ? "Command " : "Decision ") + short(id);
  ask(title, "/api/" + kind + "/" + encodeURIComponent(id), ({ chain, text }) => chainSections(chain, text));
}

function chainSections(chain, text) {
  const decision = chain.decision;
  const commands = decision.choices.flatMap((choice) => choice.commands);
  const shown = commands.filter((command) => !chain.command || command.id === chain.command);
  return [
    make("p", { class: "lead", text: decision.headline }),
    ...shown.flatMap(commandSections),
    heading("Why"),
    pairs([
      ["taken", fullTime(decision.decided_at)],
      ["because", decision.wakeup ? "its wakeup " + (decision.wakeup_name || "") + " was due" : "a fact arrived"],
      ["decision", mono(decision.id)],
      ["place", "partition " + chain.partition + ", step " + decision.position + ", build " + decision.build],
    ]),
    ...decision.choices.flatMap((choice) => choiceSections(decision.tenant, choice)),
    heading("Facts it was decided on"),
    make("ol", { class: "steps" }, ...chain.facts.map((fact) => factStep(fact, fact.id === decision.fact && "decided with this record"))),
    chain.facts_missing.length
      ? make("p", { class: "note", text: chain.facts_missing.length + " more were read and not found near: " + chain.facts_missing.join(", ") })
      : null,
    ...(shown.length ? [heading("What happened"), happened(chain)] : []),
    make("details", {}, make("summary", { text: "As text" }), make("pre", { text, tabindex: "0" })),
  ];
}

function commandSections(command) {
  const lines = command.lines.map((line) => line.quantity + " × " + line.title + (line.unit_price ? " at " + line.unit_price : ""));
  return [heading("Command"), pairs([
    ["asks to", command.headline],
    ["merchant", command.tenant],
    ["target", entityChip(command.tenant, command.target)],
    ["sent through", command.vendor + " " + command.account + " (connection " + command.connection + ")"],
    ["kind", command.class + "; " + command.change],
    ["about", command.subject && entityChip(command.tenant, command.subject)],
    ["products", lines.join(", ")],
    ["total", command.total],
    ["issued", fullTime(command.issued_at)],
    ["never after", fullTime(command.deadline)],
    ...personalRows(command.personal),
    ["id", mono(command.id)],
  ])];
}

function choiceSections(tenant, choice) {
  const features = choice.features.map((feature) =>
    make("tr", {}, make("td", { text: feature.name }), make("td", { class: "number", text: feature.shown })));
  const alternatives = choice.alternatives.map((alternative) => make("tr", {},
    make("td", { text: alternative.arm }),
    make("td", { text: alternative.because ? "ruled out: " + alternative.because : alternative.chosen ? "chosen" : "possible" }),
    make("td", { class: "number", text: String(alternative.propensity) })));
  const header = (...names) => make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col", text: name }))));
  return [
    heading("Workflow " + choice.workflow),
    pairs([
      ["for", entityChip(tenant, choice.subject)],
      ["chosen", choice.chosen && choice.chosen + (choice.explored ? ", to find out more" : "")],
      ["reasons", choice.reasons.join("; ")],
      ["withheld", choice.withheld.map((one) => "would " + one.command.headline + ", but " + one.because).join("; ")],
      ["not done", choice.suppressed.map((one) => one.capability + ": " + one.because).join("; ")],
      ["not yet", choice.deferred.map((one) => one.capability + ", before " + dayTime(one.until) + ": " + one.because).join("; ")],
      ["holdout", choice.holdout ? "yes: left alone, to compare with" : "no"],
      ["decided without", choice.missing.join("; ")],
      ["policy", choice.policy + ", version " + choice.policy_version],
    ]),
    features.length ? make("table", {}, header("figure", "value"), make("tbody", {}, ...features)) : null,
    alternatives.length ? make("table", {}, header("alternative", "", "probability"), make("tbody", {}, ...alternatives)) : null,
    choice.changes.length ? make("p", { class: "note", text: "Changes: " + choice.changes.join("; ") + "." }) : null,
  ];
}

function step(lane, mark, when, ...content) {
  return make("li", { class: lane }, make("p", { class: "mark", text: mark }), make("p", { class: "when" }, ...when), ...content);
}

function factStep(fact, remark) {
  const when = [fullTime(fact.occurred_at), " · " + fact.source + " · " + (fact.offset === null ? "concluded" : "offset " + fact.offset)];
  if (fact.arrival !== "live" && fact.arrival !== "derived") when.push(" · " + fact.arrival);
  if (remark) when.push(" · " + remark);
  const names = customers(fact).map((entity) => entityChip(fact.tenant, entity));
  return step("facts", fact.headline, when,
    fact.personal.length ? pairs(personalRows(fact.personal)) : null,
    names.length ? make("div", { class: "chips" }, ...names) : null);
}

function outcomeStep(outcome) {
  const when = [fullTime(outcome.occurred_at), " · " + outcome.source + " · attempt " + outcome.attempt + " · offset " + outcome.offset];
  return step("outcomes", words(outcome.state) + ": " + outcome.headline, when, pairs([
    ["code", outcome.code], ["the vendor's reference", outcome.vendor_ref], ["before", outcome.value_before],
    ["after", outcome.value_after], ["tried again at", outcome.retry_at && fullTime(outcome.retry_at)],
    ["cost", outcome.cost], ["found out", outcome.resolution],
    ...personalRows(outcome.evidence ? [outcome.evidence] : []),
  ]));
}

function ledgerStep(entry) {
  const said = {
    claimed: () => "attempt " + entry.attempt + " claimed before anything was sent",
    answered: () => "request " + entry.step.step + " was answered with status " + entry.step.status,
    judged: () => "attempt " + entry.attempt + " judged: " + (entry.step.state || "unreadable"),
  };
  return step("commands", said[entry.step.kind](), [fullTime(entry.recorded_at), " · ledger"]);
}

function happened(chain) {
  const steps = [...chain.ledger.map(ledgerStep), ...chain.outcomes.map(outcomeStep)];
  if (!chain.outcomes.some((outcome) => outcome.is_final)) {
    const cut = chain.outcomes_searched.is_cut ? " up to offset " + chain.outcomes_searched.to : "";
    steps.push(step("", "No end is reported yet" + cut, []));
  }
  return make("ol", { class: "steps" }, ...steps);
}

function showFact(fact) {
  if (fact.about) { showTimeline(fact.tenant, customers(fact)[0], fact); return; }
  openSheet(fact.headline, pairs([
    ["kind", mono(fact.kind)], ["merchant", fact.tenant || "none: it is about the log"], ["recorded", fullTime(fact.recorded_at)],
    ["happened", fullTime(fact.occurred_at)], ["source", fact.source], ["offset", String(fact.offset)], ["fact", mono(fact.id)],
  ]));
}

function showTimeline(tenant, entity, fact) {
  const address = "/api/customers/" + encodeURIComponent(tenant) + "/" + encodeURIComponent(entity) + "/timeline";
  ask("Timeline of " + entityLabel(entity), address, (timeline) => timelineSections(tenant, timeline, fact));
}

function timelineSections(tenant, timeline, fact) {
  const steps = timeline.entries.map(({ lane, item }) => timelineStep(lane, item, fact));
  return [
    make("p", { class: "note", text: tenant + " · as of step " + timeline.as_of + " in partition " + timeline.partition + ", " + dayTime(timeline.log_time) + " UTC" }),
    heading("This customer is known as"),
    make("div", { class: "chips" }, ...timeline.entities.map((entity) => chip(entityLabel(entity)))),
    heading("What happened, oldest first"),
    timeline.places_more ? make("p", { class: "note", text: timeline.places_more + " older entries are not shown." }) : null,
    steps.length ? make("ol", { class: "steps" }, ...steps) : make("p", { class: "note", text: "Nothing is known of this customer." }),
  ];
}

function timelineStep(lane, item, fact) {
  if (lane === "fact") return factStep(item, fact && item.id === fact.id && "the one you came from");
  if (lane === "outcome") return outcomeStep(item);
  const open = (kind, label) => make("button", { type: "button", class: "chip", text: label, on: () => showChain(kind, item.id) });
  if (lane === "command") {
    return step("commands", item.headline, [fullTime(item.issued_at), " · " + item.vendor + " " + item.account],
      make("div", { class: "chips" }, open("commands", "why")));
  }
  return step("decisions", item.headline, [fullTime(item.decided_at), " · step " + item.position],
    make("div", { class: "chips" }, open("decisions", "why")));
}

/* Start */

async function showPersonal() {
  const answer = await fetch("/api/status");
  const { personal } = await answer.json();
  const said = {
    opened: "Personal data is open in chains and timelines of this session.",
    sealed: "Personal data is sealed. It opens with the access key.",
    never: "Personal data is sealed; no access key is set, so it can't be opened here.",
  };
  byId("personal").textContent = said[personal];
  byId("key-form").hidden = personal !== "sealed";
}

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  byId("pause").textContent = paused ? "Resume" : "Pause";
  if (!paused && held) { held = false; redraw(); }
});
byId("tenant").addEventListener("change", redraw);
byId("sheet-close").addEventListener("click", () => byId("sheet").close());
byId("sheet").addEventListener("click", (event) => { if (event.target === byId("sheet")) byId("sheet").close(); });
showPersonal();
follow();
