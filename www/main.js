// The page, put together.

import { accessPanel } from "./access-panel.js";
import { echoPanel } from "./echo-panel.js";
import { filesPanel } from "./files-panel.js";
import { find } from "./find.js";
import { identityPanel } from "./identity-panel.js";
import { livePlots } from "./live.js";
import { originPanel } from "./origin-panel.js";
import { seedsPanel } from "./seeds-panel.js";
import { sessionPanel } from "./session-panel.js";
import { Link } from "./session.js";
import { themeButton } from "./theme.js";

const files = new Link("files");
const echo = new Link("echo");
const connect = () => {
  void files.connect();
  void echo.connect();
};

themeButton(find(document, "theme", HTMLButtonElement));
sessionPanel(files, connect);
identityPanel(files, (wrong) => {
  files.wrongPin = echo.wrongPin = wrong;
  connect();
});
filesPanel(files);
originPanel(files);
accessPanel();
livePlots(files);
echoPanel(echo);
seedsPanel(echo);

// A page that goes says so, instead of leaving its sessions to time out; one that comes back connects again.
addEventListener("pagehide", () => {
  void files.close("the page was left");
  void echo.close("the page was left");
});
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) connect();
});

connect();
