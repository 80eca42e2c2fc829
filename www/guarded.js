// The service that wants an access token: the file `guarded.json` beside the page, put there by whoever serves the page.

/**
 * `route`: the relays to pass; `issue`: what issues a token for a holder's key, which is put behind it.
 * @typedef {{ service: string, route: string[], issue: string }} Guarded
 */

/** @returns {Promise<Guarded | undefined>} nothing if there is no such service here */
export async function readGuarded() {
  const response = await fetch("./guarded.json", { cache: "no-store" }).catch(() => undefined);
  const guarded = response?.ok ? await response.json().catch(() => undefined) : undefined;
  const { service, route, issue } = guarded ?? {};
  const isRoute = Array.isArray(route) && route.every((id) => typeof id === "string");
  return typeof service === "string" && typeof issue === "string" && isRoute ? { service, route, issue } : undefined;
}
