"""Expressions of Jinja, one or a few of a kind a line."""

EXPRESSIONS = r"""
1 + 2 * 3 - 4 / 2
7 // 2, -7 // 2, 7 % 3, -7 % 3, 7 % -3, 7.5 // 2, -7.5 % 2, 2 ** 10, 2 ** -1, (-2) ** 2, -2 ** 2, 2 ** 3 ** 2
1 / 3, 2 / 1, 10 / 4, 1e3, 1.5e-7, 1E5, 0x1F, 0b101, 0o17, 1_000, 1_0.5
True + True, True * 3, -True, +False, not True, not 0, not ""
1.0, 100.0, 1e16, 1e15, 123456789012345680.0, 0.1 + 0.2, 1e-4, 1e-5, 5e-324, -0.0, 2.0 ** 0.5
i, neg, f, big, tiny, huge, yes, no, n
1 / 0
1 // 0
1 % 0
0 ** -1
1 + "a"
"a" + 1
"a" + n
"a" * 3, 3 * "ab", "a" * -1, [1, 2] * 2, (1,) * 3
"a" * 2.0
[1] + [2], (1,) + (2,), [1] + (2,)
[1] + [2], (1,) + (2,)
"a" ~ 1 ~ none ~ true ~ 1.5 ~ [1, "x"] ~ undefined_name
1 < 2 < 3, 1 < 3 < 2, 1 == 1.0 == true, 3 > 2 >= 2 != 1
1 < "a"
none < 1
[1, 2] < [1, 3], (1, 2) < (1, 2, 3), "a" < "b", "Z" < "a", "é" > "z"
[1, "a"] < [1, 2]
[1, 2] == [1, 2], [1] == (1,), {"a": 1} == {"a": 1.0}, {"a": 1} == {"a": 2}, none == none, none == false, "" == false
big == 9007199254740992.0, big > 9007199254740992.0, 1 == true, 0 == false, "1" == 1
"a" in "abc", "x" not in "abc", "" in "", 1 in [1, 2], 1.0 in [1], "a" in {"a": 1}, 1 in d, "a" in d
1 in "abc"
none in "abc"
undefined_name in "abc"
1 in none
1 in 5
undefined_name in [1], 1 in undefined_name
[1] in {"a": 1}
not 1 == 2, not (1 in [1]), 1 and 2, 0 and 2, 1 or 2, 0 or "", none or none, "a" and "b" or "c"
1 if true else 2, 1 if false else 2, (1 if false), 1 if 0 else 2 if 0 else 3
(1 if false) + 1
"yes" if l else "no", "yes" if el else "no", "yes" if undefined_name else "no"
s[0], s[-1], s[100], s[1:4], s[::-1], s[::2], s[:-3], s[-3:], s[5:2], s[10:0:-3], s[-100:100], u[::-1], u[1:5], u[4:], u[-2]
l[0], l[-1], l[5], l[1:], l[::-1], l[:2], l[-2:], (1, 2, 3)[1:], l[::2], l[3::-2], l["0"], l[1.0], l[true]
s[1:none], s[none:2], s[::none], l["a":]
s[::0]
s[undefined_name:]
none[0], none["x"], none.x, i[0], i.x, true.x, d["zz"], d.zz, d[1], d[none], d[[1]], l.x, s.x, ""["x"]
d[1:]
undefined_name.x
undefined_name[0]
undefined_name()
undefined_name + 1
-undefined_name
undefined_name < 1
undefined_name, undefined_name == other_undefined, undefined_name == none, undefined_name == ""
d.zz.yy
nested.x.y[1].z, nested["x"]["y"][0], nested.x.y.0, nested.x["y"].1["z"], nested["items"], nested["keys"]
nested.items() | list | length
nested["values"]() | list | length
d.items is callable, d["items"] is callable, s.upper is callable, d.get is callable, s.nope is defined
s.__class__, d.__class__, l.__len__, "".__class__.__mro__ is defined
"".__class__.__mro__
d["__class__"] is defined, s["__class__"] is defined
(1, 2), (1,), (), [1, (2, 3)], [], {}, {"a": [1, {"b": (none,)}]}, {1: 2, 1.5: 3, none: 4, true: 5}, {"a": 1, "a": 2}
{[1]: 2}
{"a": undefined_name}, [undefined_name], (undefined_name,)
["a'b", 'a"b', "a'b\"c", "tab\t", "nl\n", "bs\\", "\x00\x1f\x7f", "é", "\u200b", "\u00a0", "👍", "\U0001F600"]
"\x41\u00e9\101\n\t\\\'\"\a" ~ "\q" ~ '\'' ~ "a" "b" 'c'
range(5) | list, range(2, 5) | list, range(10, 0, -3) | list, range(0), range(3), range(1, 10, 2), range(5)[1], range(5)[-1]
range(5)[1:3], range(3) | length, 2 in range(3), 5 in range(3), 1.0 in range(3), "a" in range(3), range(3) == range(0, 3, 1)
range(100001) | length
range(1000000000)
range("a")
range(1, 2, 0)
range(1.5)
range(5) | sum, range(5) | last, range(5) | first, range(5) | reverse | list
dict(a=1, b=2), dict({"a": 1}, b=3), dict([("a", 1), ("b", 2)]), dict(pairs), dict()
dict([1])
dict(1)
dict({"a": 1}, {"b": 2})
dict(**{"a": 1}), dict(**d)
dict(*[[["q", 1]]])
namespace(a=1).a, namespace({"b": 2}).b, namespace(a=1)["a"], namespace().x is defined, namespace(a=1, b="x")
namespace(_a=1)._a is defined
joiner("x")() ~ "|"
cycler(1, 2).next(), cycler(1, 2).current
cycler()
lipsum is defined, range is defined, dict is callable
raise_exception("stop")
strftime_now("%Y-%m-%d %H:%M:%S"), strftime_now("%d %b %Y"), strftime_now("%A %B %-d %j %y %p %I %% %e %U %W %V %G %u %w %F %T %D %R %c %x %X %h %n %t %C %s")
strftime_now("%Q %") is defined
"%s" % 1, "%s %s" % (1, "a"), "%d" % 3.7, "%5d|%-5d|%05d|%+d|% d" % (1, 2, 3, 4, 5), "%x %X %o %#x %#o" % (255, 255, 8, 255, 8)
"%.2f %8.3f %-8.1f| %e %E %g %G" % (1.005, 2.5, 3.25, 12345.678, 0.00012, 1e10, 1e-10)
"%r %s %a" % ("é'", "é", "é"), "%c%c" % (65, "b"), "%%", "%(a)s %(b)d" % {"a": 1, "b": 2}, "%5s|%-5s|%.2s" % ("a", "b", "cde")
"%s" % none, "%s" % [1], "%s" % {"a": 1}, "%s" % undefined_name, "abc" % [], "abc" % {}, "%s" % (1,), "%s" % true
"%d" % "a"
"%s %s" % 1
"%s" % (1, 2)
"%f" % none
"%q" % 1
"%*d|%.*f" % (5, 1, 2, 3.14159), "%-*d|" % (4, 7), "%i %u" % (3, 4), "%.3d" % 5, "%x" % -255, "%+.1f" % 2.0, "%g" % 100000.0
"%g %g %g %g" % (1000000.0, 1e6, 123456789.0, 0.0001), "%#g" % 1.0, "%.0f %.0f %.0f" % (0.5, 1.5, 2.5), "%f" % 1e20, "%010.2f" % -3.5
"%x" % 1.5
s.upper(), s.lower(), s.title(), s.capitalize(), s.swapcase(), s.casefold(), u.upper(), u.lower(), u.title(), u.capitalize(), u.casefold(), u.swapcase()
"they're bill's".title(), "ΑΣ ΑΣΑ Σ".lower(), "ﬁ ŉ ǰ".upper(), "ǆ ﬁ".title(), "straße".upper(), "İ".lower()
ws.strip(), ws.lstrip(), ws.rstrip(), "xxaxx".strip("x"), "abcba".strip("ab"), "xyz".lstrip("xy"), "xyz".rstrip("zy"), "éaé".strip("é"), "a".strip("")
s.strip(none), s.strip(1)
csv.split(","), csv.split(",", 1), csv.rsplit(",", 1), csv.split(",", maxsplit=2), ws.split(), ws.split(none), " a  b ".split(" "), "a b c".split(none, 1), "a b c ".rsplit(none, 1)
"".split(), "".split(","), "abc".split("abc"), "aXbXc".rsplit("X"), "a--b--c".split("--"), "a b".split(sep=" ")
s.split("")
s.split(1)
lines.splitlines(), lines.splitlines(true), lines.splitlines(keepends=true), "".splitlines(), "a\n".splitlines(), "\n".splitlines(), "a\x0bb\x0cc\x1cd\x85e".splitlines()
s.startswith("He"), s.startswith(("x", "H")), s.endswith("ld"), s.endswith(("d", "x")), s.startswith("lo", 3), s.startswith("l", 2, 3), s.startswith(""), s.endswith("", 20), s.startswith("Hello", 0, 3)
s.startswith(["H"])
s.startswith(1)
s.find("o"), s.find("o", 5), s.find("z"), s.rfind("o"), s.index("W"), s.count("l"), s.count("l", 4), s.count(""), s.find(""), s.find("", 20), u.find("你"), u.rfind("ς"), s.find("l", -2), s.find("l", 0, -8)
s.index("z")
s.rindex("q")
s.replace("o", "0"), s.replace("l", "L", 1), s.replace("", "-"), "aaa".replace("a", "b", 2), "abc".replace("", ".", 2), s.replace("zz", "y"), s.replace("o", "", -1), "é".replace("é", "e")
s.replace("o", 0)
s.replace("o")
", ".join(["a", "b"]), "".join("abc"), "-".join({"x": 1, "y": 2}), ",".join(l | map("string")), ",".join([])
",".join(l)
",".join(undefined_name), "x".join(("a",))
s.center(20, "*"), s.ljust(15) ~ "|", s.rjust(15, "."), "42".zfill(5), "-42".zfill(6), "+1".zfill(4), "é".center(4, "ü"), "ab".center(5), "abc".center(6), "a".center(-3), "x".zfill(0)
s.center(20, "ab")
"a\tb\tc".expandtabs(), "a\tb".expandtabs(4), "ab\n\tc".expandtabs(3), "\t".expandtabs(0)
s.partition(" "), s.rpartition("o"), s.partition("z"), s.rpartition("z"), s.partition(" ")[2]
s.partition("")
s.removeprefix("Hello "), s.removesuffix("World"), s.removeprefix("x"), "aa".removesuffix("a")
"abc".isalpha(), "ab1".isalpha(), "ab1".isalnum(), "12".isdigit(), "1²".isdigit(), "½".isnumeric(), "12".isdecimal(), "²".isdecimal(), "五".isnumeric(), "".isalpha(), " ".isspace(), "ab".islower(), "aB".islower(), "AB1".isupper(), "1".isupper(), "Ab Cd".istitle(), "AB".istitle(), "a_1".isidentifier(), "1a".isidentifier(), "a b".isidentifier(), "abc".isascii(), "é".isascii(), "a\n".isprintable(), "".isprintable()
"{} {}".format(1, "a"), "{1} {0}".format(1, 2), "{a} {b}".format(a=1, b=[2]), "{0.x.y} {0[items]}".format(nested), "{0[0]} {0[1]}".format(l), "{{}} {}".format(1), "{!r} {!s} {!a}".format("é", "é", "é")
"{:5}|{:<5}|{:>5}|{:^5}|{:*^7}".format(1, 2, 3, 4, 5), "{:5}|{:<5}|{:>5}|{:^5}|{:é<4}".format("a", "b", "c", "d", "e"), "{:05}|{:+}|{: }|{:-}".format(1, 2, 3, 4)
"{:,} {:_} {:,.2f} {:010,} {:_x}".format(1234567, 1234567, 12345.678, 1234, 65535000), "{:b} {:o} {:x} {:X} {:#x} {:#b} {:c} {:d} {:n}".format(5, 8, 255, 255, 255, 5, 65, 7, 8)
"{:.2f} {:.3} {:e} {:g} {:%} {:.1%} {:F} {}".format(1.005, 3.14159, 1234.5, 0.00001, 0.25, 0.333, 1.5, 1e16), "{:.3}".format("abcdef"), "{:10.2}|".format("abcdef"), "{:=+6}".format(5), "{:0=6}".format(-5)
"{:.3} {:.3} {:.2} {:.1}".format(123.0, 100.0, 1e10, 0.05), "{:10}|{:<10}|{:^10}|".format(1.5, 2.5, 3.5), "{:{w}.{p}f}".format(3.14159, w=8, p=2), "{:{}}|".format("a", 4), "{:5}".format(true), "{}".format(true), "{:>6}".format(none | string)
"{:d}".format("a")
"{:s}".format(1)
"{:5}".format(none)
"{:.2}".format(5)
"{} {}".format(1)
"{a}".format(1)
"{0} {}".format(1, 2)
"{".format(1)
"}".format(1)
"{!x}".format(1)
"{a.b}".format(a=1)
"{0.__class__}".format(1)
"{a[x]}".format_map({"a": {"x": 1}})
d.get("a"), d.get("zz"), d.get("zz", 5), d.get(1), d.keys() | list, d.values() | list, d.items() | list, d.keys(), d.values(), d.items(), ed.items(), d.copy()
d.get([1])
d.get()
d.get("a", default=1)
d.pop("a")
d.update({"x": 1})
d.setdefault("q", 1)
d.clear()
l.append(1)
l.pop()
l.insert(0, 1)
l.sort()
l.extend([1])
l.reverse()
l.append is defined, d.update is defined, d.pop is callable, l.append | default("none")
l.count(1), l.index(2), (1, 2, 1).count(1), (1, 2).index(2), [1, "a"].index("a"), l.copy(), words.index("cherry", 1), l.index(2, -1)
l.index(99)
"a" in d.keys(), 1 in d.values(), ("a", 2) in d.items(), d.keys() == {"C": 0, "a": 0, "b": 0}.keys(), d.items() == d.items(), d.keys() | length
d.keys()[0] is defined
(5).real, true.real, (2.5).is_integer(), (2.0).is_integer(), (255).bit_length(), i.numerator, i.denominator
n is none, undefined_name is none, n is defined, undefined_name is defined, undefined_name is undefined, zero is defined, d.zz is defined, d.a is defined
s is string, i is string, i is number, f is number, yes is number, n is number, i is integer, yes is integer, f is integer, f is float, i is float, yes is boolean, i is boolean, yes is true, no is false, 1 is true, no is true
d is mapping, l is mapping, l is sequence, s is sequence, d is sequence, (1,) is sequence, i is sequence, undefined_name is sequence, l is iterable, s is iterable, i is iterable, n is iterable, undefined_name is iterable, range(3) is sequence
s is callable, undefined_name is callable, s.upper is callable, range is callable, d.items() is sequence, d.items() is iterable, (l | map("string")) is sequence, (l | map("string")) is iterable
4 is even, 3 is odd, 4 is odd, 9 is divisibleby 3, 9 is divisibleby(2), 2.0 is even, -3 is odd, true is odd
"a" is odd
n is even
9 is divisibleby 0
5 is eq 5, 5 is ne 5, 5 is lt 6, 5 is gt 6, 5 is le 5, 5 is ge 6, 5 is equalto 5, 5 is greaterthan 4, 5 is lessthan 4, 1 is in [1, 2], "a" is in "abc", 1 is not in [1]
"abc" is lower, "ABC" is upper, "Abc" is lower, "" is lower, 1 is lower, none is sameas none, true is sameas true, 1 is sameas true, l is sameas l, l is sameas [3, 1, 2], none is not none
"upper" is filter, "nope" is filter, "odd" is test, "nope" is test, 1 is filter, (html | safe) is escaped, html is escaped
1 is eq
1 is eq(1, 2)
1 is defined(2)
1 is not odd and 2 is even or 3 is none, 1 is odd is defined
1 is none if true else 2
not 1 is odd, not n is none
i | default(1), undefined_name | default("d"), undefined_name | default, n | default("d"), n | default("d", true), e | default("d", true), zero | d(5, boolean=true), e | d("x"), undefined_name | d(default_value=3), d.zz | default([])
undefined_name.x | default("d")
s | length, l | length, d | length, e | length, u | length, undefined_name | length, l | count, range(3) | length, d.items() | length
5 | length
none | length
(l | map("string")) | length
s | upper, s | lower, s | title, s | capitalize, 5 | upper, none | upper, undefined_name | upper, true | lower, l | upper, "ab-cd ef(gh [ij {kl <mn" | title, "don't" | title, u | title, "éa ßb" | title
s | trim, ws | trim, "xxhixx" | trim("x"), none | trim, undefined_name | trim, 5 | trim, ws | trim(chars=" "), "a" | trim(none)
s | replace("l", "L"), s | replace("l", "L", 1), s | replace("o", 0), 12345 | replace(3, "x"), s | replace("l", "L", count=2), undefined_name | replace("a", "b"), none | replace("o", "x"), s | replace("", ".")
l | join, l | join(","), l | join(d="-"), people | join(",", attribute="name"), "abc" | join("."), d | join(","), el | join(","), undefined_name | join, mixed | join("|"), l | join(1), [none, true] | join(",")
5 | join
none | join(",")
l | first, l | last, s | first, s | last, el | first, el | last, d | first, d | last, undefined_name | first, undefined_name | last, range(3) | last, d.items() | first, d.values() | last, "é" | last
none | first
(l | map("string")) | last
(l | map("string")) | first, el | first is defined
l | list, s | list, d | list, undefined_name | list, (1, 2) | list, u | list, range(3) | list, d.items() | list
none | list
5 | list
5 | string, none | string, l | string, undefined_name | string, f | string, d | string, (s | string) == s
"42" | int, "42.9" | int, "abc" | int, "abc" | int(-1), " 7 " | int, "0x1F" | int(0, 16), "1F" | int(base=16), "0b11" | int(0, 2), "077" | int(0, 8), 3.9 | int, -3.9 | int, true | int, none | int, l | int, "1_000" | int, "" | int, "1e3" | int, "-5" | int, "+5" | int, "inf" | int(9), "nan" | int(9), "٣" | int, "12" | int(0, 3), "0x1F" | int
undefined_name | int
undefined_name | float
"3.5" | float, "abc" | float, "abc" | float(1.5), 5 | float, none | float, "1e3" | float, " 2 " | float, ".5" | float, "5." | float, "1_0.5" | float, true | float, "0x1" | float, "1e" | float, "" | float
inf | float, minus_inf | float, nan | float, e999 | float, infinity | float
-5 | abs, 5.5 | abs, -5.5 | abs, true | abs, neg | abs
"a" | abs
none | abs
42.55 | round, 42.55 | round(1), 2.5 | round, 3.5 | round, -2.5 | round, 42.55 | round(1, "floor"), 42.51 | round(0, "ceil"), 5 | round, 1234 | round(-2), 1250 | round(-2), 1350 | round(-2), 2.675 | round(2), 1.5 | round(method="floor"), 7 | round(1, "ceil"), 0.1 | round(20), 1e300 | round(5), 12345.678 | round(-2), true | round
1.5 | round(0, "nope")
"1.5" | round
none | round
l | sort, l | sort(reverse=true), words | sort, words | sort(case_sensitive=true), people | sort(attribute="name") | map(attribute="name") | list, people[:3] | sort(attribute="age,name") | map(attribute="name") | list, people[:3] | sort(true, false, "age") | map(attribute="name") | list, d | sort, "hello" | sort, el | sort, undefined_name | sort, [[2, 1], [1, 2], [1]] | sort, [true, 0, 0.5] | sort
mixed | sort
people | sort(attribute="age")
[1, none] | sort
none | sort
words | unique | list, words | unique(true) | list, [1, 1.0, true, 2] | unique | list, people | unique(attribute="city") | map(attribute="name") | list, el | unique | list
[[1], [1]] | unique | list
l | min, l | max, words | min, words | max, words | max(true), people[:3] | min(attribute="age"), el | min, el | max is defined, people[:3] | max(attribute="name"), [1, 2.5] | max, "hello" | min
mixed | min
l | sum, people[:3] | sum(attribute="age"), l | sum(start=10), el | sum, [1.5, 2] | sum, [[1], [2]] | sum(start=[]), [true, true] | sum
words | sum
words | sum(start="")
people | sum(attribute="age")
l | reverse | list, s | reverse, u | reverse, d | reverse | list, (1, 2) | reverse | list, (l | map("string")) | reverse, el | reverse | list, undefined_name | reverse | list
5 | reverse
none | reverse
l | map("string") | list, words | map("upper") | list, people | map(attribute="name") | list, people | map(attribute="tags.0", default="-") | list, people | map(attribute="zz") | list, words | map("replace", "a", "A") | list, [[1, 2], [3]] | map("length") | list, words | map("default", "x") | list, [[2, 1]] | map("sort") | list, pairs | map("first") | list, pairs | map("join", "=") | join(";"), people | map(attribute="age") | map("default", 0) | list
words | map("nope") | list
words | map | list
words | map(attribute="x", foo=1) | list
words | map(undefined_name) | list
5 | map("string") | list
none | map("string") | list, undefined_name | map("upper") | list, el | map("nope") | list
people | map(attribute="tags.x.y") | list
l | select("odd") | list, l | select("gt", 1) | list, l | select | list, mixed | select | list, l | reject("odd") | list, mixed | select("string") | list, mixed | reject("none") | list, l | select("in", [1, 2]) | list, words | select("equalto", "Apple") | list, [1, none] | reject("sameas", none) | list, l | select("divisibleby", 3) | list, l | select("==", 2) | list
people | selectattr("age") | map(attribute="name") | list, people | selectattr("age", "eq", 30) | map(attribute="name") | list, people | selectattr("tags", "defined") | list | length, people | rejectattr("age", "none") | map(attribute="name") | list, people | rejectattr("tags") | list | length, messages | selectattr("role", "equalto", "user") | list, messages | selectattr("tool_calls") | list | length, messages | selectattr("role", "in", ["user", "system"]) | map(attribute="content") | list, messages | rejectattr("content", "none") | list | length
l | select("nope") | list
people | selectattr | list
people | selectattr("name", "nope") | list
mixed | select("odd") | list
(el | select("odd")) and "true", (messages | selectattr("zz")) | list | length, "gen" if messages | selectattr("zz") else "none"
l | batch(2) | list, l | batch(2, "x") | list, el | batch(2) | list, "abcde" | batch(2) | list, l | batch(5, 0) | list, l | batch(1) | list, l | batch(0) | list
l | slice(2) | list, l | slice(2, "x") | list, el | slice(2) | list, range(10) | slice(3) | list, l | slice(5) | list, l | slice(5, 0) | list
l | slice(0) | list
people[:3] | groupby("age") | list, people[:3] | groupby("city") | map(attribute="grouper") | list, people | groupby("zz", default="q") | length, people[:3] | groupby("city", case_sensitive=true) | map(attribute="list") | map("length") | list, (people[:3] | groupby("age"))[0].grouper, (people[:3] | groupby("age"))[0][0], people[:3] | groupby(attribute="age") | first
people | groupby("age")
people | groupby
d | dictsort, d | dictsort(true), d | dictsort(false, "value"), d | dictsort(reverse=true), d | dictsort(by="value", reverse=true), ed | dictsort, {1: "a", 0: "b"} | dictsort
d | dictsort(by="x")
l | dictsort
undefined_name | dictsort
{1: 1, "a": 2} | dictsort
d | items | list, undefined_name | items | list, ed | items | list, (d | items) is iterable
l | items | list
d | tojson, l | tojson, s | tojson, n | tojson, yes | tojson, f | tojson, huge | tojson, u | tojson, html | tojson, "\x00\x1f\x7f\"\\/\b\f\n\r\t\u2028" | tojson, mixed | tojson, (1, 2) | tojson, {} | tojson, [] | tojson, nested | tojson, {1: 2, none: 3, true: 4, 1.5: 5} | tojson
u | tojson(ensure_ascii=true), d | tojson(sort_keys=true), nested | tojson(indent=2), nested | tojson(indent="--"), nested | tojson(indent=0), [] | tojson(indent=2), {"a": []} | tojson(indent=4), l | tojson(separators=(",", ":")), nested | tojson(separators=(",", ":")), nested | tojson(indent=1, separators=(";", "=")), d | tojson(true), nested | tojson(indent=2, sort_keys=true), l | tojson(indent=none), l | tojson(indent=-1)
inf | float | tojson, nan | float | tojson, minus_inf | float | tojson, 1e16 | tojson, 0.1 | tojson, 100 | tojson, -0.0 | tojson, 1e-10 | tojson
undefined_name | tojson
{"a": undefined_name} | tojson
(l | map("string")) | tojson
d.items() | tojson
range(3) | tojson
{(1, 2): 3} | tojson
{1: 1, "a": 2} | tojson(sort_keys=true)
namespace(a=1) | tojson
l | tojson(separators=",")
l | tojson(foo=1)
s | indent, lines | indent, lines | indent(2), lines | indent(2, true), lines | indent(2, false, true), lines | indent(width=1, blank=true), lines | indent("> "), lines | indent("> ", first=true, blank=true), e | indent, "\n" | indent(2, true), "a\n\nb\n" | indent, lines | indent(0)
none | indent
5 | indent
undefined_name | indent
"foo bar baz qux" | truncate(9), "foo bar baz qux" | truncate(9, true), "foo bar baz qux" | truncate(11), "foo bar baz qux" | truncate(11, false, "...", 0), "foobarbazqux" | truncate(5, end=""), u | truncate(6, true, "…", 0), s | truncate, "foo bar baz" | truncate(7, leeway=0), "aaaaaaaaaaaaaaaaaa" | truncate(6)
s | truncate(1)
none | truncate
s | wordcount, u | wordcount, e | wordcount, "a-b c_d e'f" | wordcount, 5 | wordcount
s | center(21) ~ "|", s | center(5), 5 | center(3), u | center(width=30) ~ "|"
html | e, html | escape, html | safe, html | e | e, html | forceescape, 5 | e, none | e, undefined_name | e, html | safe | e, l | e, (html | e) ~ "<", (html | e) + "<b>", "<b>" + (html | safe), (html | safe) * 2, (html | e) | upper, html | safe | string, [html | e], (html | e)[0:5] + "<", (html | safe).replace("a", "<"), (html | safe).upper() + "<", (html | safe) % (), ("%s" | safe) % html, ("{}" | safe).format(html), ("," | safe).join(["<", ">"]), (html | e) | length, (html | safe) == html, (html | safe).split("'"), (html | e) | trim | replace("&", "+"), (html | safe | tojson)
(d | tojson | safe) + "\n</tool>", (s | safe) ~ "<", "<" ~ (s | safe), ("a" | safe) | indent, ("<" | safe) | title, ("<a b" | safe) | capitalize, (html | e) | join("<"), ["<" | safe, "<"] | join, "<" | e | default("x"), ("x" | safe) + 1 | string
(s | safe) + 1
html | striptags, "<p>a  b</p> <!-- c --> d &amp; e" | striptags, s | urlencode, u | urlencode, "a b/c?d=e&f" | urlencode, d | urlencode, pairs | urlencode, 5 | urlencode, {"a b": "c&d"} | urlencode, none | urlencode
"%s-%s" | format(1, "a"), "%(a)s" | format(a=1), "%d%%" | format(5), "abc" | format
"%s" | format(1, a=2)
"%s %s" | format(1)
{"class": "a b", "id": none, "x": "<"} | xmlattr, {"a": 1} | xmlattr(false), {} | xmlattr
{"a b": 1} | xmlattr
100 | filesizeformat, 1 | filesizeformat, 1000 | filesizeformat, 1234567 | filesizeformat, 1234567 | filesizeformat(true), "2048" | filesizeformat(binary=true), 1e30 | filesizeformat, 999999 | filesizeformat, 1024 | filesizeformat(true)
s | attr("upper") is callable, d | attr("a") is defined, d | attr("items") is callable, s | attr("nope") is defined, s | attr("__class__") is defined, namespace(a=5) | attr("a"), undefined_name | attr("x") is defined
s | pprint, d | pprint, l | pprint, {"b": {"d": 1, "c": [1, 2]}} | pprint, none | pprint, html | pprint, people | pprint, tree | pprint, messages | pprint, {1: "x", "b": 2, none: 3} | pprint, (1,) | pprint, [range(40) | list, "y" * 90] | pprint
s | nope
s | upper(1)
s | replace("a")
s | default("a", true, 3)
l | join(",", "x", "y")
l | first(1)
s | upper | lower | title | length, (s | upper)[0], s | upper ~ "x", -1 | abs, 1 + 2 | string | length, not s | length > 3, s|replace("o","0")|upper, -f | abs | int
l | map("string") | join(", ") | upper, people | selectattr("age", "gt", 26) | list
people[:3] | selectattr("age", "gt", 26) | map(attribute="name") | sort | join(",") | upper
[1, 2, 3,], {"a": 1,}, (1, 2,), dict(a=1,), [1, 2][0], {"a": {"b": 1}}.a.b, "abc"[1], (1, 2)[0], [[1, 2], [3]][0][1]
[1, 2
(1, 2
1 +
* 2
1 2
a b
{"a" 1}
{a}
[1,,2]
f(
s.
s..x
s | 
s | 5
1 is
x y
"unterminated
'\x4'
'\u12'
012
1a
@
$x
a!b
1 == == 2
not
if
none()
5()
"abc"()
d()
f(a=1, a=2)
range(a=1)
range()
s.upper(1)
s.split(foo=1)
dict(1, 2)
namespace(1)
namespace([["a", 1]]).a
"a" if
lambda x: x
[x for x in l]
x := 1
l[0] = 1
true = 1
9223372036854775807, -9223372036854775807, 9223372036854775807 - 1
""".strip("\n").split("\n")
