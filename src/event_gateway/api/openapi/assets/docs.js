"use strict";
// Shows the gateway's OpenAPI document. Asks for a key first where the gateway does.
(() => {
  const form = document.getElementById("login");
  const message = document.getElementById("message");
  const input = document.getElementById("key");

  const show = (spec, key) => {
    form.hidden = true;
    const ui = SwaggerUIBundle({
      spec,
      dom_id: "#ui",
      deepLinking: true,
      docExpansion: "list",
      defaultModelsExpandDepth: 0,
      validatorUrl: null,
      onComplete: () => key && ui.preauthorizeApiKey("ApiKey", key),
    });
  };

  const say = (text) => {
    form.hidden = false;
    message.textContent = text;
    message.className = "failed";
  };

  const load = async (key) => {
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    const answer = await fetch("openapi.json", { headers, credentials: "omit", cache: "no-store" });
    if (answer.ok) return show(await answer.json(), key);
    if (answer.status === 401 && !key) form.hidden = false;
    else say((await answer.json()).detail);
  };

  const failed = (error) => say(`The gateway cannot be reached: ${error.message}`);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    load(input.value.trim()).catch(failed);
  });
  load("").catch(failed);
})();
