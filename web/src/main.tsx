import { render } from "preact";
import { App } from "./shell/App";
import { listenToKeys } from "./shell/keys";
import { loadInfo } from "./state/info";
import { goLive } from "./state/live";

const root = document.getElementById("app");
if (root === null) throw new Error("the page has no #app");
render(<App />, root);
listenToKeys();
goLive();
void loadInfo();
