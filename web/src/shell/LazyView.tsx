import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Loading, Problem } from "../parts/states";

type Loader = () => Promise<{ default: ComponentType }>;

/** A view whose code comes when it is first looked at. */
export function LazyView({ load }: { load: Loader }) {
  const [View, setView] = useState<ComponentType | null>(null);
  const [isFailed, setFailed] = useState(false);
  useEffect(() => {
    let isGone = false;
    setView(null);
    setFailed(false);
    load().then(
      (module) => {
        if (!isGone) setView(() => module.default);
      },
      () => {
        if (!isGone) setFailed(true);
      },
    );
    return () => {
      isGone = true;
    };
  }, [load]);
  if (isFailed) {
    const problem = {
      what: "This view could not be loaded",
      why: "the server does not answer, or is now another version",
      next_step: "Reload the page.",
    };
    return <Problem problem={problem} retry={() => location.reload()} />;
  }
  return View === null ? <Loading what="Opening" /> : <View />;
}
