"use strict";
// Shows openapi.json, which lies beside this page. All text goes through textContent: nothing is parsed as HTML.
const byId = (id) => document.getElementById(id);

function make(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function row(...cells) {
  const line = make("tr");
  for (const cell of cells) {
    const td = make("td");
    td.append(cell);
    line.append(td);
  }
  return line;
}

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.allOf) return schema.allOf.map(typeOf).join(" & ");
  const either = schema.oneOf || schema.anyOf;
  if (either) return either.map(typeOf).join(" | ");
  if (schema.enum) return schema.enum.map((item) => JSON.stringify(item)).join(" | ");
  if (schema.type === "array") return typeOf(schema.items) + "[]";
  return (schema.type || "any") + (schema.nullable ? " | null" : "");
}

function reference(schema) {
  const name = typeOf(schema);
  const bare = name.replace("[]", "");
  if (!byId("schema-" + bare)) return make("code", name);
  const link = make("a", name);
  link.href = "#schema-" + bare;
  link.addEventListener("click", () => { byId("schema-" + bare).open = true; });
  return link;
}

function media(content) {
  const box = make("div");
  for (const [type, entry] of Object.entries(content || {})) {
    const line = make("p");
    line.append(make("code", type), " ");
    if (entry.schema) line.append(reference(entry.schema));
    box.append(line);
    if (entry.example !== undefined) box.append(make("pre", JSON.stringify(entry.example, null, 2)));
  }
  return box;
}

function resolved(spec, item) {
  return item.$ref ? item.$ref.slice(2).split("/").reduce((place, part) => place[part], spec) : item;
}

function call(spec, path, method, operation) {
  const box = make("details");
  box.id = operation.operationId;
  box.dataset.text = JSON.stringify([path, method, operation.operationId, operation.summary,
    Object.values(operation.responses).map((answer) => answer["x-codes"])]).toLowerCase();
  const head = make("summary");
  head.append(make("span", method.toUpperCase(), "method"), make("code", path), make("span", operation.summary));
  const body = make("div");
  if (operation.description) body.append(make("p", operation.description));
  if (operation.parameters) {
    const table = make("table");
    for (const given of operation.parameters) {
      const item = resolved(spec, given);
      table.append(row(make("code", item.name), item.in + (item.required ? ", required" : ""),
        typeOf(item.schema), item.description || ""));
    }
    body.append(make("h3", "Parameters"), table);
  }
  if (operation.requestBody) body.append(make("h3", "Body"), media(operation.requestBody.content));
  body.append(make("h3", "Answers"));
  const answers = make("table");
  for (const [status, answer] of Object.entries(operation.responses)) {
    const cell = make("div", answer.description);
    if (Number(status) < 300) cell.append(media(answer.content));
    answers.append(row(make("code", status), cell));
  }
  body.append(answers);
  box.append(head, body);
  return box;
}

function schema(name, definition) {
  const box = make("details");
  box.id = "schema-" + name;
  box.append(make("summary", name));
  box.append(make("div"));
  box.lastChild.append(make("p", definition.description || ""), make("pre", JSON.stringify(definition, null, 2)));
  return box;
}

function show(spec) {
  byId("version").textContent = spec.info.version;
  for (const [name, definition] of Object.entries(spec.components.schemas)) {
    byId("schemas").append(schema(name, definition));
  }
  const calls = byId("calls");
  calls.replaceChildren();
  for (const tag of spec.tags) {
    const part = make("section");
    part.append(make("h2", tag.name));
    for (const [path, item] of Object.entries(spec.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (operation.tags && operation.tags[0] === tag.name) part.append(call(spec, path, method, operation));
      }
    }
    calls.append(part);
  }
  byId("find").addEventListener("input", (event) => {
    const text = event.target.value.trim().toLowerCase();
    for (const box of calls.querySelectorAll("details")) box.hidden = !box.dataset.text.includes(text);
  });
  if (location.hash) {
    const target = byId(location.hash.slice(1));
    if (target) { target.open = true; target.scrollIntoView(); }
  }
}

// The page is served with and without a slash at its end.
const place = location.pathname.replace(/\/+$/, "").replace(/[^/]*$/, "");
for (const link of document.querySelectorAll("header a")) link.href = place + link.textContent;

fetch(place + "openapi.json")
  .then((answer) => answer.json())
  .then(show)
  .catch((error) => { byId("calls").replaceChildren(make("p", "The document could not be loaded: " + error)); });
