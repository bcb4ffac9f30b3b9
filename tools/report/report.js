// report.js - what the two halves of the page's script share. Texts of people and of models become
// text nodes and nothing else.
"use strict";

const report = JSON.parse(document.getElementById("data").textContent);

// An element with attributes and children: nodes, or strings of this script's own.
function make(name, attributes, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {}))
        element.setAttribute(key, value);
    element.append(...children);
    return element;
}

function makeSvg(name, attributes, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes || {}))
        element.setAttribute(key, value);
    element.append(...children);
    return element;
}

// Control characters and marks that turn the direction of writing, which would otherwise be seen
// by what they do to the text around them.
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufeff]/g;

// Appends a text of outside origin; what is not to be seen is named.
function appendText(element, text) {
    let plain = 0;
    for (const match of text.matchAll(unseen)) {
        const code = match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
        element.append(text.slice(plain, match.index), make("span", {class: "mark"}, "U+" + code));
        plain = match.index + 1;
    }
    element.append(text.slice(plain));
    return element;
}

function formatCount(count) {
    return count.toLocaleString("en-US");
}

function formatNumber(value) {
    const size = Math.abs(value);
    if (value === 0 || Number.isInteger(value) && size < 1e6)
        return formatCount(value);
    if (size >= 1e6 || size < 1e-3)
        return value.toExponential(2);
    return String(Number(value.toPrecision(4)));
}

// Keys with Alt, Control or the like are the browser's own.
function isOurs(event, keys) {
    return event.key in keys && !event.altKey && !event.ctrlKey && !event.metaKey &&
        !event.shiftKey;
}
