// Sends name and password as JSON, which no other site's form can do.
const form = document.querySelector("form");
const alertLine = form.querySelector("[role=alert]");

function refusal(answer) {
  if (answer.status === 429) {
    const seconds = Number(answer.headers.get("retry-after")) || 300;
    return form.dataset.locked.replace("{minutes}", Math.max(1, Math.ceil(seconds / 60)));
  }
  if (answer.status === 503) return form.dataset.busy;
  return answer.status < 500 ? form.dataset.wrong : form.dataset.failed;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  alertLine.textContent = "";
  try {
    const answer = await fetch("/api/v1/login", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: form.elements.name.value, password: form.elements.password.value }),
    });
    if (answer.ok) {
      location.replace(form.dataset.next);
      return;
    }
    alertLine.textContent = refusal(answer);
  } catch {
    alertLine.textContent = form.dataset.failed;
  }
  button.disabled = false;
  form.elements.password.select();
});

for (const link of document.querySelectorAll("[data-language]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    window.gasgate.language(link.dataset.language);
  });
}
