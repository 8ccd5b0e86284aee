// The tree of messages.
import { describe, expect, it } from "vitest";
import { append, children, emptyTree, merge, pathTo, remove, show, shownPath, siblings, type Tree } from "../../src/lib/tree";

const contents = (tree: Tree): string[] => shownPath(tree).map((message) => message.content);

function conversation(): Tree {
  const tree = emptyTree();
  const one = append(tree, null, { id: "u1", role: "user", content: "hi" });
  const two = append(tree, one.id, { id: "a1", role: "assistant", content: "hello" });
  const three = append(tree, two.id, { id: "u2", role: "user", content: "more" });
  append(tree, three.id, { id: "a2", role: "assistant", content: "here" });
  return tree;
}

describe("tree", () => {
  it("shows what was added last", () => {
    expect(contents(conversation())).toEqual(["hi", "hello", "more", "here"]);
  });
  it("keeps the first wording when a message is edited", () => {
    const tree = conversation();
    append(tree, "a1", { id: "u2b", role: "user", content: "other" });
    expect(contents(tree)).toEqual(["hi", "hello", "other"]);
    expect(siblings(tree, tree.messages.u2b!)).toEqual({ index: 1, count: 2, previous: "u2", next: undefined });
    show(tree, "u2");
    expect(contents(tree)).toEqual(["hi", "hello", "more", "here"]);
  });
  it("comes back to the branch that was shown below", () => {
    const tree = conversation();
    append(tree, "u2", { id: "a2b", role: "assistant", content: "again" });
    append(tree, "u1", { id: "a1b", role: "assistant", content: "hey" });
    expect(contents(tree)).toEqual(["hi", "hey"]);
    show(tree, "a1");
    expect(contents(tree)).toEqual(["hi", "hello", "more", "again"]);
  });
  it("branches at the very first message", () => {
    const tree = conversation();
    append(tree, null, { id: "u1b", role: "user", content: "good day" });
    expect(contents(tree)).toEqual(["good day"]);
    expect(children(tree, null).map(({ id }) => id)).toEqual(["u1", "u1b"]);
  });
  it("keeps siblings in the order they were added, however fast", () => {
    const tree = conversation();
    const ids = Array.from({ length: 20 }, (_, i) => append(tree, "u2", { role: "assistant", content: String(i) }).id);
    expect(children(tree, "u2").map(({ id }) => id)).toEqual(["a2", ...ids]);
  });
  it("removes a branch with all below, and shows a sibling", () => {
    const tree = conversation();
    append(tree, "u1", { id: "a1b", role: "assistant", content: "hey" });
    show(tree, "a1");
    remove(tree, "a1");
    expect(Object.keys(tree.messages).sort()).toEqual(["a1b", "u1"]);
    expect(contents(tree)).toEqual(["hi", "hey"]);
    remove(tree, "u1");
    expect(tree.messages).toEqual({});
    expect(contents(tree)).toEqual([]);
  });
  it("ends on circles and loose ends", () => {
    const tree = conversation();
    tree.messages.a2!.active = "u1";
    expect(contents(tree)).toHaveLength(4);
    tree.messages.u1!.parent = "a2";
    expect(pathTo(tree, "a2")).toHaveLength(4);
    tree.active = "gone";
    expect(contents(tree)).toEqual([]);
  });
  it("merges what two windows added", () => {
    const mine = conversation();
    const theirs = structuredClone(mine);
    append(mine, "u2", { id: "mine", role: "assistant", content: "m" });
    append(theirs, "u2", { id: "theirs", role: "assistant", content: "t" });
    theirs.messages.a2!.content = "here is more";
    const both = merge(mine, theirs);
    expect(children(both, "u2").map(({ id }) => id).sort()).toEqual(["a2", "mine", "theirs"]);
    expect(both.messages.a2?.content).toBe("here is more");
    expect(contents(both)).toEqual(["hi", "hello", "more", "m"]);
  });
});
