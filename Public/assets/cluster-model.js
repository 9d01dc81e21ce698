// What the page knows of a lab's cluster: lines of lectern.cluster.v1 put together, and what follows from them. No DOM.

/**
 * @typedef {{uid: string, name: string, namespace?: string, ending?: boolean, [key: string]: any}} Thing
 * @typedef {"nodes" | "pods" | "services" | "workloads" | "events"} Kind
 * @typedef {"waiting" | "opening" | "connected" | "lost"} ClusterState
 */

/** @type {Kind[]} */
const kinds = ["nodes", "pods", "services", "workloads", "events"];
/** Events that are kept; the oldest give way. */
export const eventLimit = 60;

/** Namespaces that belong to the cluster itself. */
export const isSystem = (/** @type {string | undefined} */ namespace) => /^kube-|^lectern-system$|^local-path-storage$/.test(namespace ?? "");

export class ClusterModel {
  /** @type {ClusterState} */ state = "opening";
  /** The node that tells. */ node = "";
  /** @type {Record<Kind, Map<string, Thing>>} */ #things = { nodes: new Map(), pods: new Map(), services: new Map(), workloads: new Map(), events: new Map() };
  /** What is there is of an earlier connection. */ #stale = false;

  /**
   * Takes one line. Returns false where it says nothing that is understood.
   * @param {string} text
   */
  take(text) {
    /** @type {any} */ let line;
    try { line = JSON.parse(text); } catch { return false; }
    if (line === null || typeof line !== "object") return false;
    if (typeof line.node === "string") this.node = line.node;
    if (line.state === "opening") {
      this.#stale = true;
      return true;
    }
    if (line.state === "waiting" || line.state === "connected" || line.state === "lost") {
      if (line.state === "waiting" || (line.state === "connected" && this.#stale)) this.clear();
      this.state = line.state;
      return true;
    }
    if (!kinds.includes(line.kind)) return false;
    if (this.#stale) this.clear();
    const things = this.#things[/** @type {Kind} */ (line.kind)];
    for (const uid of Array.isArray(line.gone) ? line.gone : []) things.delete(uid);
    for (const thing of Array.isArray(line.set) ? line.set : []) if (typeof thing?.uid === "string") things.set(thing.uid, thing);
    if (line.kind === "events" && things.size > eventLimit) {
      const oldest = [...things.values()].sort(byTime).slice(0, things.size - eventLimit);
      for (const { uid } of oldest) things.delete(uid);
    }
    return true;
  }

  clear() {
    this.#stale = false;
    for (const kind of kinds) this.#things[kind].clear();
  }

  /** @param {Kind} kind */
  all(kind) { return [...this.#things[kind].values()].sort(byName); }
  /** Newest first. */
  get events() { return [...this.#things.events.values()].sort(byTime).reverse(); }
  get isEmpty() { return kinds.every(kind => this.#things[kind].size === 0); }

  /** @returns {string[]} */
  get namespaces() {
    const names = new Set(kinds.flatMap(kind => [...this.#things[kind].values()].map(thing => thing.namespace ?? "")));
    names.delete("");
    return [...names].sort();
  }

  /**
   * The nodes to draw: those of the cluster, and those of the lab that are not in it (yet).
   * @param {string[]} labNodes
   * @returns {(Thing & {bare?: boolean})[]}
   */
  nodes(labNodes) {
    const nodes = this.all("nodes");
    const bare = labNodes.filter(name => !nodes.some(node => node.name === name)).map(name => ({ uid: `bare-${name}`, name, bare: true }));
    return [...nodes, ...bare].sort(byName);
  }

  /** Pods that a service leads to. @param {Thing} service */
  selectedBy(service) {
    return this.all("pods").filter(pod => selects(service, pod));
  }

  /** Pods that a workload made, itself or through its ReplicaSets and Jobs. @param {Thing} workload */
  madeBy(workload) {
    const owners = new Set([workload.uid]);
    for (const other of this.#things.workloads.values()) if (other.owner === workload.uid) owners.add(other.uid);
    return this.all("pods").filter(pod => owners.has(pod.owner?.uid));
  }

  /** What people made: ReplicaSets of Deployments and Jobs of CronJobs are part of those. */
  get topWorkloads() {
    return this.all("workloads").filter(it => !it.owner || !this.#things.workloads.has(it.owner));
  }

  /** The generations of a Deployment that still have pods, newest first. @param {Thing} workload */
  generations(workload) {
    return this.all("workloads").filter(it => it.owner === workload.uid && it.kind === "ReplicaSet").sort((a, b) => Number(b.revision ?? 0) - Number(a.revision ?? 0));
  }
}

/** @param {Thing} a @param {Thing} b */
function byName(a, b) {
  return (a.namespace ?? "").localeCompare(b.namespace ?? "") || String(a.name ?? "").localeCompare(String(b.name ?? ""), undefined, { numeric: true }) || a.uid.localeCompare(b.uid);
}
/** @param {Thing} a @param {Thing} b */
function byTime(a, b) { return (Date.parse(a.at) || 0) - (Date.parse(b.at) || 0); }

/** @param {Thing} service @param {Thing} pod */
export function selects(service, pod) {
  const wanted = Object.entries(service.selector ?? {});
  return wanted.length > 0 && service.namespace === pod.namespace && wanted.every(([key, value]) => pod.labels?.[key] === value);
}

const bad = /BackOff|^Err|Error|Invalid|OOMKilled|Failed|Evicted|ContainerCannotRun|Unknown|DeadlineExceeded|ContainerStatusUnknown/;

/**
 * How a pod's tile is coloured.
 * @param {Thing} pod
 * @returns {"good" | "starting" | "bad" | "done" | "ending"}
 */
export function podTone(pod) {
  const state = String(pod.state ?? "");
  if (pod.ending || state === "Terminating") return "ending";
  if (bad.test(state)) return "bad";
  if (state === "Completed" || state === "Succeeded") return "done";
  const [ready, all] = String(pod.ready ?? "").split("/").map(Number);
  return state === "Running" && ready === all ? "good" : "starting";
}

/** @param {Thing} pod */
export function podWords(pod) {
  const words = [pod.state ?? "", `${pod.ready ?? "0/0"} ready`];
  if (pod.restarts) words.push(pod.restarts === 1 ? "1 restart" : `${pod.restarts} restarts`);
  return words.join(", ");
}

/**
 * How far a workload is.
 * @param {Thing} workload
 * @returns {{words: string, tone: "good" | "starting" | "bad" | "done"}}
 */
export function rolloutOf(workload) {
  const { desired = 0, ready = 0, updated } = workload;
  if (workload.rollout === "failed") return { words: "does not get on", tone: "bad" };
  if (workload.paused) return { words: workload.kind === "CronJob" || workload.kind === "Job" ? "suspended" : "paused", tone: "done" };
  if (workload.kind === "CronJob") return { words: workload.schedule ?? "", tone: desired > 0 ? "starting" : "good" };
  if (workload.kind === "Job") {
    if (ready >= desired) return { words: "complete", tone: "done" };
    return workload.failed ? { words: `${workload.failed} failed`, tone: "bad" } : { words: "running", tone: "starting" };
  }
  if (workload.rollout === "progressing" && updated !== undefined && updated !== null && updated < desired) return { words: `rolling out, ${updated} of ${desired} new`, tone: "starting" };
  if (workload.rollout === "progressing" || ready < desired) return { words: ready > desired ? "scaling down" : "getting ready", tone: "starting" };
  return { words: desired === 0 ? "scaled to none" : "", tone: desired === 0 ? "done" : "good" };
}

/** `80→30080/TCP`. @param {{port: number, protocol?: string, nodePort?: number}} port */
export function portWords(port) {
  return `${port.port}${port.nodePort ? `:${port.nodePort}` : ""}${port.protocol && port.protocol !== "TCP" ? `/${port.protocol}` : ""}`;
}

const isName = (/** @type {any} */ text) => typeof text === "string" && /^[A-Za-z0-9][A-Za-z0-9.:_-]{0,252}$/.test(text);

/**
 * The commands that tell more of a thing; a name that could be read as an option gives none.
 * @param {string} kind @param {string} name @param {string} [namespace]
 * @returns {{describe?: string[], logs?: string[], yaml?: string[]}}
 */
export function commandsFor(kind, name, namespace) {
  if (!/^[A-Za-z]{1,63}$/.test(kind) || !isName(name) || (namespace && !isName(namespace))) return {};
  const where = ["--kubeconfig=/etc/kubernetes/admin.conf", ...(namespace ? ["-n", namespace] : [])];
  const lower = kind.toLowerCase();
  const kubectl = "/usr/bin/kubectl";
  /** @type {{describe?: string[], logs?: string[], yaml?: string[]}} */
  const commands = { describe: [kubectl, "describe", lower, name, ...where], yaml: [kubectl, "get", lower, name, ...where, "-o", "yaml"] };
  if (["pod", "deployment", "replicaset", "daemonset", "statefulset", "job"].includes(lower)) {
    commands.logs = [kubectl, "logs", lower === "pod" ? name : `${lower}/${name}`, ...where, "--all-containers=true", "--tail=200"];
  }
  return commands;
}
