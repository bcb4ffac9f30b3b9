// samples.js - the browser of samples: filter, order, and one opened with its conversation.

const rowsAtOnce = 200;
const messagesShown = 8;

// Every response with its group and context, in the order of the run.
const responses = report.samples.groups.flatMap((group) => {
    const context = report.samples.contexts[group.context];
    const conversation = context.conversation === null
        ? null : report.samples.conversations[context.conversation];
    return group.responses.map((response) => ({response, group, context, conversation}));
});
responses.sort((a, b) => a.group.step - b.group.step);

const browser = {found: [], shown: 0, at: 0, opened: null};
const list = document.getElementById("list");
const dialog = document.getElementById("sample");

function verdictWord(response) {
    if (!response.graded)
        return "not graded";
    return response.decision > 0 ? "right decision" : "wrong decision";
}

function verdictClass(response) {
    return !response.graded ? "nothing" : response.decision > 0 ? "right" : "wrong";
}

function truthWords(context) {
    return context.truth === "stop" ? "expert stopped" : "expert asked on";
}

function score(response, name) {
    return response[name] === undefined ? "not known" : formatNumber(response[name]);
}

// All that a search looks at, made once.
function searched(item) {
    if (item.searched === undefined) {
        const said = item.conversation
            ? item.conversation.messages.slice(0, item.context.count).map((message) => message[1])
            : [];
        item.searched = [item.response.text, item.response.verdict || "", item.context.cid,
            ...(item.context.facts || []), ...(item.context.expert || []), ...said]
            .join("\n").toLowerCase();
    }
    return item.searched;
}

function readFilter() {
    const value = (id) => document.getElementById(id).value;
    const number = (id) => value(id) === "" ? null : Number(value(id));
    return {
        text: value("filter-text").trim().toLowerCase(),
        decision: value("filter-decision"),
        truth: value("filter-truth"),
        step: value("filter-step"),
        reason: value("filter-reason"),
        score: value("filter-score"),
        from: number("filter-from"),
        to: number("filter-to"),
        order: value("sort"),
        sign: value("direction") === "up" ? 1 : -1,
    };
}

function passes(item, filter) {
    const {response, group, context} = item;
    const decision = !response.graded ? "none" : response.decision > 0 ? "right" : "wrong";
    const known = response[filter.score];
    if (filter.decision && filter.decision !== decision ||
        filter.truth && filter.truth !== context.truth ||
        filter.step && Number(filter.step) !== group.step ||
        filter.reason && filter.reason !== group.reason)
        return false;
    if (filter.from !== null && !(known >= filter.from) ||
        filter.to !== null && !(known <= filter.to))
        return false;
    return !filter.text || searched(item).includes(filter.text);
}

// What has no such number comes last in either direction.
function inOrder(found, filter) {
    if (filter.order === "run")
        return filter.sign > 0 ? found : found.reverse();
    const key = (item) => filter.order === "step" ? item.group.step : item.response[filter.order];
    const known = found.filter((item) => key(item) !== undefined);
    known.sort((a, b) => filter.sign * (key(a) - key(b)));
    return known.concat(found.filter((item) => key(item) === undefined));
}

function makeRow(item, index) {
    const {response, group, context} = item;
    const reason = group.reason === "evenly" ? "" : `; a context of the ${group.reason} responses`;
    const text = appendText(make("span", {class: "row-text", dir: "auto"}),
        response.text.slice(0, 400).replace(/\s+/g, " "));
    if (response.text === "")
        text.append(make("span", {class: "nothing"}, "says nothing"));
    const facts = make("span", {class: "row-facts"},
        make("span", {class: verdictClass(response)}, verdictWord(response)),
        `; ${truthWords(context)}; step ${formatCount(group.step)}; context `);
    appendText(facts, context.cid).append(`; ${formatCount(response.tokens)} tokens${reason}`);
    const reward = make("span", {class: "row-reward"}, make("span", {class: "hidden"}, "reward "),
        response.reward === undefined ? "–" : formatNumber(response.reward));
    const row = make("button", {type: "button", class: "row"}, reward, facts, text);
    row.tabIndex = index === browser.at ? 0 : -1;
    row.addEventListener("click", () => openSample(index));
    return make("li", {}, row);
}

function showRows() {
    const end = Math.min(browser.found.length, browser.shown + rowsAtOnce);
    for (let i = browser.shown; i < end; i++)
        list.append(makeRow(browser.found[i], i));
    browser.shown = end;
    const more = document.getElementById("more");
    more.hidden = end === browser.found.length;
    more.textContent = `Show ${formatCount(Math.min(rowsAtOnce, browser.found.length - end))} more`;
}

function search() {
    const filter = readFilter();
    browser.found = inOrder(responses.filter((item) => passes(item, filter)), filter);
    browser.shown = 0;
    browser.at = 0;
    list.replaceChildren();
    list.scrollTop = 0;
    showRows();
    document.getElementById("found").textContent =
        `${formatCount(browser.found.length)} of ${formatCount(responses.length)} responses`;
}

// One row at a time is in the order of the Tab key; arrows move among them.
function goTo(index, focus) {
    while (index >= browser.shown && browser.shown < browser.found.length)
        showRows();
    const rows = list.querySelectorAll(".row");
    const row = rows[Math.min(rows.length - 1, Math.max(0, index))];
    if (!row)
        return;
    rows[browser.at].tabIndex = -1;
    browser.at = [...rows].indexOf(row);
    row.tabIndex = 0;
    if (focus)
        row.focus();
}

function moveInList(event) {
    const moves = {ArrowUp: browser.at - 1, ArrowDown: browser.at + 1, PageUp: browser.at - 10,
        PageDown: browser.at + 10, Home: 0, End: browser.found.length - 1};
    if (!isOurs(event, moves))
        return;
    event.preventDefault();
    goTo(moves[event.key], true);
}

function makeBubble(kind, who, text) {
    return make("div", {class: "bubble " + kind}, make("span", {class: "who"}, ...who),
        appendText(make("p", {class: "words"}), text));
}

function makeMessage([role, text]) {
    if (role === "assistant")
        return makeBubble("expert", ["Expert"], text);
    return makeBubble("said", role === "user" ? ["User"] : [appendText(make("span"), role)], text);
}

function makeChat(item) {
    const {response, context, conversation} = item;
    const chat = make("div", {class: "chat"});
    const messages = conversation ? conversation.messages.slice(0, context.count) : [];
    const early = messages.length > messagesShown ? messages.length - messagesShown + 2 : 0;
    if (!conversation)
        chat.append(make("p", {class: "notice"}, "The conversation is not in this page."));
    if (early > 0)
        chat.append(make("details", {},
            make("summary", {}, `${formatCount(early)} messages before these`),
            make("div", {class: "chat"}, ...messages.slice(0, early).map(makeMessage))));
    chat.append(...messages.slice(early).map(makeMessage));
    if (response.earlier)
        chat.append(make("details", {},
            make("summary", {}, "What the model did before it answered"),
            make("div", {class: "chat"},
                makeBubble("earlier", ["Model and tools"], response.earlier))));
    const title = `The model's response ${response.repeat + 1}`;
    chat.append(makeBubble("response", [title, verdictMark(item)], response.text));
    if (context.expert && context.expert.length > 0)
        chat.append(...context.expert.map((text) =>
            makeBubble("expert next", ["What the expert said"], text)));
    return chat;
}

function verdictMark({response}) {
    return make("span", {class: verdictClass(response)}, ", " + verdictWord(response));
}

function makeFacts(pairs) {
    return make("dl", {class: "facts"}, ...pairs.flatMap(([name, value]) =>
        [make("dt", {}, name), appendText(make("dd"), value)]));
}

function makeSide(item) {
    const {response, group, context, conversation} = item;
    const side = make("div", {class: "side"});
    const length = formatCount(response.tokens) + " tokens" +
        (response.finished ? "" : ", cut at the longest allowed");
    side.append(make("section", {}, make("h3", {}, "Scores"), makeFacts([
        ["Reward", score(response, "reward")],
        ["Decision", `${score(response, "decision")}, ${verdictWord(response)}`],
        ["Content", score(response, "content")],
        ["Format", score(response, "format")],
        ["Advantage", score(response, "advantage")],
        ["Length", length],
        ["Truth", truthWords(context)],
    ])));
    const facts = make("section", {}, make("h3", {}, "What the expert went on to find out"));
    if (context.facts && context.facts.length > 0)
        facts.append(make("ul", {}, ...context.facts.map((fact) => appendText(make("li"), fact))));
    else
        facts.append(make("p", {class: "nothing"}, context.facts ? "nothing" : "not known"));
    side.append(facts);
    if (response.verdict)
        side.append(make("section", {}, make("h3", {}, "The judge's verdict"),
            appendText(make("p", {class: "words"}), response.verdict)));
    const origin = [["Context", context.cid], ["Step", formatCount(group.step)]];
    if (conversation)
        origin.push(["Session", conversation.session]);
    if (conversation && conversation.about)
        origin.push(["About", conversation.about]);
    side.append(make("section", {}, make("h3", {}, "Where it is from"), makeFacts(origin)));
    return side;
}

function makeCard(item, current) {
    const {response} = item;
    const number = response.repeat + 1;
    const show = make("button", {type: "button", "aria-current": String(current)},
        current ? `Response ${number}, shown` : `Show response ${number}`);
    show.addEventListener("click", () => fillSample(item, ".card.current button"));
    return make("li", {class: current ? "card current" : "card"}, show,
        make("p", {class: "scores-line"},
            `reward ${score(response, "reward")}, content ${score(response, "content")}, ` +
            `format ${score(response, "format")}, advantage ${score(response, "advantage")}`,
            verdictMark(item)),
        appendText(make("p", {class: "words"}), response.text));
}

function makeTop(item) {
    const index = browser.found.indexOf(item);
    const title = make("h2", {id: "sample-title"},
        `Step ${formatCount(item.group.step)}, context `);
    appendText(title, item.context.cid);
    const button = (name, label, action, works) => {
        const made = make("button", {type: "button", id: name}, label);
        made.addEventListener("click", action);
        made.disabled = !works;
        return made;
    };
    return make("div", {class: "bar-top"}, title,
        button("previous", "Previous", () => turn(-1), index > 0),
        button("next", "Next", () => turn(1), index >= 0 && index + 1 < browser.found.length),
        button("close", "Close", () => dialog.close(), true));
}

// Shows an item in the dialog and gives the focus to the element that `focus` selects there.
function fillSample(item, focus) {
    browser.opened = item;
    const group = responses.filter((other) => other.group === item.group);
    const cards = group.map((other) => makeCard(other, other === item));
    dialog.replaceChildren(makeTop(item),
        make("div", {class: "panes"}, make("div", {}, makeChat(item)), makeSide(item)),
        make("section", {class: "alternatives"},
            make("h3", {}, `All ${cards.length} responses to this context in this step`),
            make("ul", {class: "cards"}, ...cards)));
    const target = dialog.querySelector(focus);
    (target && !target.disabled ? target : dialog.querySelector("#close")).focus();
}

function openSample(index) {
    goTo(index, false);
    fillSample(browser.found[index], "#close");
    if (!dialog.open)
        dialog.showModal();
    dialog.scrollTop = 0;
    dialog.querySelector("#close").focus({preventScroll: true});
}

// To the sample before or after the open one, of those found.
function turn(way) {
    const index = browser.found.indexOf(browser.opened) + way;
    if (index < way || index < 0 || index >= browser.found.length)
        return;
    goTo(index, false);
    fillSample(browser.found[index], way < 0 ? "#previous" : "#next");
    dialog.scrollTop = 0;
}

function startSamples() {
    if (responses.length === 0)
        return;
    const form = document.getElementById("filter");
    const steps = [...new Set(responses.map((item) => item.group.step))];
    document.getElementById("filter-step").append(
        ...steps.map((step) => make("option", {value: step}, formatCount(step))));
    form.hidden = false;
    form.addEventListener("input", search);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(search));
    list.addEventListener("keydown", moveInList);
    document.getElementById("more").addEventListener("click", () => goTo(browser.shown, true));
    dialog.addEventListener("close", () => goTo(browser.at, true));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("keydown", (event) => {
        const ways = {ArrowLeft: -1, ArrowRight: 1};
        if (isOurs(event, ways))
            turn(ways[event.key]);
    });
    search();
}

startSamples();
