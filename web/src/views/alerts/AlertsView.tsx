import { History } from "./History";
import { Rules } from "./Rules";
import "../../styles/alerts.css";

export default function AlertsView() {
  return (
    <div class="alerts">
      <h1 class="hidden">Alerts</h1>
      <History />
      <Rules />
    </div>
  );
}
