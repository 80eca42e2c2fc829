// Who may have signed what a service sends: the file `origins.json` beside the page, put there by whoever serves the page.

/**
 * Reads the identities for each service; none if there is no such file, or one that cannot be read: then the reader says whom
 * to believe.
 * @returns {Promise<Record<string, string[]>>}
 */
export async function readOrigins() {
  const response = await fetch("./origins.json", { cache: "no-store" }).catch(() => undefined);
  const origins = response?.ok ? await response.json().catch(() => undefined) : undefined;
  if (typeof origins !== "object" || origins === null || Array.isArray(origins)) return {};
  return Object.fromEntries(
    Object.entries(origins).map(([service, ids]) => [service, [ids].flat().filter((id) => typeof id === "string")]),
  );
}
