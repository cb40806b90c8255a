import { infoProblem } from "../state/info";

/** Shown instead of the page when the server does not accept it. */
export function SignIn() {
  const problem = infoProblem.value;
  return (
    <main class="sign-in">
      <h1>This page needs its token</h1>
      <p>
        {problem?.what}: {problem?.why}.
      </p>
      <p>
        Open the address that <code>ticktrail serve</code> printed: it carries the token. Or give the token here.
      </p>
      {/* The server takes the token from the address, keeps it in a cookie that no script can read, and redirects. */}
      <form method="get" action="./">
        <label>
          Token <input class="input" type="password" name="token" required autocomplete="current-password" />
        </label>
        <button type="submit" class="button primary">
          Open
        </button>
      </form>
    </main>
  );
}
