// Starts the page.
import { mount } from "svelte";
import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/prose.css";
import App from "./App.svelte";

mount(App, { target: document.getElementById("app") as HTMLElement });
