"""Modules without DOM, run in the browser on the server's own files."""

import json
import pathlib

import pytest

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "Fixtures" / "terminal-frames.json"


@pytest.fixture
def module(page, site):
    page.goto(site.url + "/assets/icon.svg")
    return lambda script, arg=None: page.evaluate(script, arg)


@pytest.mark.parametrize(
    "text,commands",
    [
        ("ls", 1),
        ("a\nb\n\n# remark\nc\n", 3),
        ("for x in 1 2; do\n echo $x\ndone\nls\n", 2),
        ("cat <<EOF > f\nkind: a\nEOF\ncat f\n", 2),
        ("cat <<-'E' && x\n\tfoo\n\tE\ny\n", 2),
        ('echo "a\nb"\nls\n', 2),
        ("a \\\n b\nc\n", 2),
        ("a |\n b\nc\n", 2),
        ("a &&\nb\nc", 2),
        ("if true\nthen\n ls\nfi\nx\n", 2),
        ("f() {\n ls\n}\nf\n", 2),
        ("( cd a\n ls )\nb", 2),
        ("case $x in\n a) ls;;\n b) l ;;\nesac\nq\n", 2),
        ("x=$(ls\n)\ny", 2),
        ("sleep 5 &\nls\n", 2),
        ("echo for done\nls\n", 2),
        ("cat <<< hi\nls\n", 2),
        ('kubectl get no -o json | jq ".items[] | {a:.b} + .c"\nls', 2),
    ],
)
def test_shell_text_is_cut_where_a_prompt_comes_back(module, text, commands):
    found = module("async text => (await import('/assets/shell-lines.js')).splitCommands(text)", text)
    assert len(found) == commands, found


def test_frames_are_those_of_the_server(module):
    if not FIXTURES.exists():
        pytest.skip("no shared fixtures")
    fixtures = json.loads(FIXTURES.read_text())
    bad = module(FRAMES, fixtures)
    assert bad == []


FRAMES = """async fixtures => {
  const protocol = await import('/assets/protocol.js');
  const bytes = hex => Uint8Array.from(hex.match(/../g) ?? [], pair => parseInt(pair, 16));
  const hex = frame => [...frame].map(byte => byte.toString(16).padStart(2, '0')).join('');
  const encode = { input: f => protocol.encodeInput(f.bytes), resize: f => protocol.encodeResize(f.columns, f.rows), ack: f => protocol.encodeAck(f.offset),
    output: f => protocol.encodeOutput(f.offset, f.bytes), snapshot: f => protocol.encodeOutput(f.offset, f.bytes, protocol.ServerFrame.snapshot), event: f => protocol.encodeEvent(f.event) };
  const bad = [];
  for (const [list, decode] of [['toServer', protocol.decodeClientFrame], ['toPage', protocol.decodeServerFrame]]) {
    for (const { name, hex: wire, ...wanted } of fixtures[list]) {
      const frame = decode(bytes(wire));
      const found = frame.bytes ? { ...frame, bytes: hex(frame.bytes) } : frame;
      if (JSON.stringify(Object.entries(found).sort()) !== JSON.stringify(Object.entries(wanted).sort())) bad.push([name, found]);
      if (hex(encode[frame.type](frame)) !== wire) bad.push([name, 'encoded', hex(encode[frame.type](frame))]);
    }
  }
  for (const [list, decode] of [['badToServer', protocol.decodeClientFrame], ['badToPage', protocol.decodeServerFrame]]) {
    for (const { name, hex: wire } of fixtures[list]) {
      try { decode(bytes(wire)); bad.push([list, name, 'was taken']); } catch (error) { if (!(error instanceof protocol.ProtocolError)) bad.push([list, name, String(error)]); }
    }
  }
  return bad;
}"""


SESSION = """async () => {
  const { TerminalSession } = await import('/assets/terminal-session.js');
  const { decodeClientFrame, encodeEvent, encodeOutput } = await import('/assets/protocol.js');
  const log = { written: '', acks: [], inputs: [], urls: [], states: [] };
  const sockets = [];
  class Fake {
    readyState = 1;
    constructor(url) { log.urls.push(url); sockets.push(this); }
    send(frame) {
      const it = decodeClientFrame(frame);
      if (it.type === 'input') log.inputs.push(new TextDecoder().decode(it.bytes));
      if (it.type === 'ack') log.acks.push(it.offset);
    }
    close() {}
    get(frame) { this.onmessage({ data: frame.buffer.slice(frame.byteOffset, frame.byteOffset + frame.byteLength) }); }
    drop() { this.onclose({ code: 1006, reason: '' }); }
  }
  const text = words => new TextEncoder().encode(words);
  const later = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
  const session = new TerminalSession({ path: '/t', columns: 80, rows: 24, webSocket: Fake, origin: 'ws://x',
    screen: { write: (bytes, done) => { log.written += new TextDecoder().decode(bytes); done(); }, reset: () => { log.written += '<reset>'; } },
    onState: state => log.states.push(state), onEvent: () => {} });
  session.send('early');
  sockets[0].get(encodeEvent({ type: 'attached', offset: 100, end: 105, inputApplied: 0, inputWindow: 10 }));
  sockets[0].get(encodeOutput(100, text('hello')));
  sockets[0].get(encodeOutput(103, text('lo you')));
  session.send('0123456789');
  sockets[0].get(encodeEvent({ type: 'input-applied', applied: 5 }));
  await later(80);
  sockets[0].drop();
  session.send('!');
  await later(300);
  sockets[1].get(encodeEvent({ type: 'attached', offset: 109, end: 120, inputApplied: 8, inputWindow: 10 }));
  sockets[1].get(encodeOutput(109, text(', again')));
  sockets[1].get(encodeOutput(500, text('screen'), 2));
  sockets[1].get(encodeOutput(500, text('+rest')));
  await later(80);
  session.close();
  return log;
}"""


def test_output_and_input_once_over_a_lost_connection(module):
    log = module(SESSION)
    assert log["written"] == "hello you, again<reset>screen+rest"
    assert "resume=109" in log["urls"][1] and "resume" not in log["urls"][0]
    assert log["urls"][0].split("viewer=")[1].split("&")[0] == log["urls"][1].split("viewer=")[1].split("&")[0]
    # 5 of the first connection's 15 bytes were confirmed, and the next attach tells of 3 more: what is left is sent again.
    assert log["inputs"] == ["early", "0123456789", "3456789", "!"]
    assert log["acks"][-1] == 505 and 109 in log["acks"]
    assert log["states"] == ["live", "reconnecting", "live", "closed"]


JOIN = "kubeadm join 172.30.0.11:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:" + 64 * "a"


@pytest.mark.parametrize(
    "text,found",
    [
        (f"Then:\n\n{JOIN} \n", JOIN),
        (JOIN.replace(" --disc", " \\\n\t--disc"), JOIN),
        (JOIN + "a", None),
        (JOIN[:-1], None),
        (JOIN.replace("abcdef.", "abcdef;rm."), None),
        (JOIN + " --control-plane", None),
        (JOIN + " \\\n\t--control-plane --certificate-key 00\n\n" + JOIN.replace("abcdef", "fedcba"), JOIN.replace("abcdef", "fedcba")),
        ("", None),
    ],
)
def test_join_command_is_found(module, text, found):
    assert module("async text => (await import('/assets/join-command.js')).findJoin(text)", text) == found


def test_wrapped_lines_are_put_together(module):
    lines = [["$ x", False], ["kubeadm jo", False], ["in  a", True], ["end", False]]
    assert module("""async lines => (await import('/assets/join-command.js')).unwrapped({ length: lines.length,
      getLine: row => lines[row] && { isWrapped: lines[row][1], translateToString: trim => trim ? lines[row][0].trimEnd() : lines[row][0].padEnd(10) } }, 1)""", lines) == "kubeadm join  a\nend"


def test_cluster_lines_are_put_together(module):
    from cluster_lines import CLUSTER, OPENING, WAITING, line, node

    asked = module("""async lines => {
      const { ClusterModel, selects, podTone, rolloutOf } = await import('/assets/cluster-model.js');
      const model = new ClusterModel();
      const taken = lines.cluster.map(line => model.take(line));
      const web = model.all('services').find(it => it.name === 'web');
      const first = { taken, selected: model.selectedBy(web).length, made: model.madeBy(model.all('workloads').find(it => it.kind === 'Deployment')).length,
        top: model.topWorkloads.map(it => it.name), newest: model.events[0].reason, nodes: model.nodes(['node1', 'node2', 'node3']).map(it => [it.name, !!it.bare]),
        none: selects({ namespace: 'default', selector: {} }, { namespace: 'default', labels: {} }), junk: ['', '[]', 'null', '{"kind":"x"}', '{"kind":"pods","set":[null,{}]}'].map(line => model.take(line)) };
      for (const line of lines.again) model.take(line); // another connection: what it does not tell of is gone
      const again = [model.all('nodes').length, model.all('pods').length];
      for (const line of lines.waiting) model.take(line);
      return { ...first, again, empty: model.isEmpty, tones: ['Running', 'Error', 'ErrImagePull', 'Init:CrashLoopBackOff', 'Completed', 'Pending', 'Init:0/1'].map(state => podTone({ state, ready: '1/1' })) };
    }""", {"cluster": CLUSTER, "again": [*OPENING, line("nodes", node("node1"))], "waiting": WAITING})
    assert all(asked["taken"])
    assert (asked["selected"], asked["made"], asked["newest"], asked["none"]) == (4, 4, "FailedScheduling", False)
    assert sorted(asked["top"]) == ["once", "tick", "web"]
    assert asked["nodes"] == [["node1", False], ["node2", False], ["node3", True]]
    assert asked["junk"] == [False, False, False, False, True]
    assert (asked["again"], asked["empty"]) == ([1, 0], True)
    assert asked["tones"] == ["good", "bad", "bad", "bad", "done", "starting", "starting"]


@pytest.mark.parametrize("kind,name,count", [("Pod", "web-1", 3), ("Node", "node1", 2), ("Pod", "--help", 0), ("Pod -A", "x", 0), ("Pod", "a b", 0), ("", "x", 0)])
def test_commands_for_details_hold_no_options_of_others(module, kind, name, count):
    commands = module("async ([kind, name]) => (await import('/assets/cluster-model.js')).commandsFor(kind, name, 'default')", [kind, name])
    assert len(commands) == count
    assert all(command[0] == "/usr/bin/kubectl" for command in commands.values())
