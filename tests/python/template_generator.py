"""Random templates that mostly make sense: expressions of a wanted type, statements around them."""

NAMES = {
    "str": ["s", "e", "u", "html", "ws", "lines", "csv", "num"],
    "int": ["i", "neg", "zero"],
    "num": ["i", "neg", "f"],
    "list": ["l", "el", "words", "mixed", "people", "messages", "pairs"],
    "dict": ["d", "ed", "nested"],
    "bool": ["yes", "no"],
    "any": ["n", "undefined_name", "tree"],
}
TEXTS = ["", "a", "b", "ab", " ", "\\n", "x y", "é", "o", "l", ",", "%s", "<b>", "'", "0", "Hello"]
METHODS = {
    "str": ["upper()", "lower()", "title()", "capitalize()", "strip()", "lstrip({s})", "rstrip({s})", "strip({s})", "replace({s}, {s})",
            "replace({s}, {s}, {i})", "removeprefix({s})", "removesuffix({s})", "center({i})", "ljust({i}, 'x')", "zfill({i})",
            "swapcase()", "join({l})", "expandtabs({i})", "casefold()", "format({a}, {a})"],
    "list": ["split()", "split({s})", "split({s}, {i})", "rsplit({s}, {i})", "splitlines()", "splitlines({b})", "partition({s})", "rpartition({s})"],
    "int": ["find({s})", "rfind({s})", "count({s})", "index({s})", "find({s}, {i})", "count({s}, {i}, {i})"],
    "bool": ["startswith({s})", "endswith({s})", "isalpha()", "isdigit()", "isupper()", "islower()", "isspace()", "istitle()",
             "startswith(({s}, {s}))", "isalnum()", "startswith({s}, {i})"],
}  # fmt: skip
FILTERS = {
    "str": ["{a}|string", "{s}|upper", "{s}|lower", "{s}|title", "{s}|capitalize", "{s}|trim", "{s}|trim({s})", "{s}|replace({s}, {s})",
            "{l}|join({s})", "{l}|join", "{a}|tojson", "{a}|tojson(indent={i})", "{s}|indent({i})", "{s}|indent({i}, {b}, {b})", "{s}|e", "{s}|safe",
            "{s}|truncate({i})", "{s}|truncate({i}, {b}, '', {i})", "{s}|reverse", "{s}|center({i})", "{s}|urlencode", "{s}|format({a})",
            "{a}|default({s})", "{s}|default({s}, {b})", "{l}|first|string", "{a}|pprint", "{s}|striptags", "{s}|forceescape"],
    "int": ["{l}|length", "{s}|length", "{s}|int", "{n}|int", "{s}|wordcount", "{l}|count", "{n}|abs", "{n}|round|int", "{s}|int({i}, {i})"],
    "num": ["{n}|round({i})", "{n}|float", "{s}|float", "{n}|abs", "{l}|sum", "{n}|round({i}, 'floor')"],
    "list": ["{l}|list", "{s}|list", "{d}|list", "{l}|sort", "{l}|sort(reverse={b})", "{l}|unique|list", "{l}|reverse|list", "{d}|dictsort",
             "{d}|items|list", "{l}|map('string')|list", "{l}|map('upper')|list", "{l}|select('string')|list", "{l}|reject('none')|list",
             "{l}|select|list", "{l}|batch({i})|list", "{l}|batch({i}, {a})|list", "{l}|slice({i})|list", "{l}|slice({i}, {a})|list",
             "{l}|map(attribute={s})|list", "{l}|map(attribute='name')|list", "{l}|selectattr('age')|list", "{l}|selectattr('role', 'eq', {s})|list",
             "{l}|rejectattr('role', 'in', {l})|list", "{l}|map('default', {a})|list", "{l}|groupby('age')|map('first')|list", "{l}|select('in', {l})|list",
             "{l}|map('length')|list", "{l}|select('gt', {n})|list", "{l}|unique(attribute='city')|list", "{l}|sort(attribute='name')"],
    "any": ["{l}|first", "{l}|last", "{l}|min", "{l}|max", "{a}|default({a})", "{d}|attr({s})", "{l}|max(attribute='age')"],
}  # fmt: skip
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence", "iterable", "true", "false",
         "odd", "even", "lower", "upper", "eq({a})", "ne({a})", "lt({n})", "in({l})", "sameas({b})", "divisibleby({i})", "escaped", "callable"]  # fmt: skip
TYPES = ["str", "int", "num", "list", "dict", "bool", "any"]
LETTER = {"s": "str", "i": "int", "n": "num", "l": "list", "d": "dict", "b": "bool", "a": "any"}


class Generator:
    def __init__(self, rng):
        self.rng, self.variables, self.macros, self.loops = rng, [], [], 0

    def fill(self, pattern, depth):
        for letter, kind in LETTER.items():
            while "{" + letter + "}" in pattern:
                pattern = pattern.replace("{" + letter + "}", self.expression(kind, depth - 1), 1)
        return pattern

    def literal(self, kind):
        rng = self.rng
        if kind == "str":
            return "'" + rng.choice(TEXTS).replace("'", "\\'") + "'"
        if kind == "int":
            return str(rng.choice([0, 1, 2, 3, 5, 10, -1]))
        if kind == "num":
            return str(rng.choice([0, 1, 2, -3, 0.5, 2.25, 1e3, 1e-7]))
        if kind == "bool":
            return rng.choice(["true", "false"])
        if kind == "list":
            return rng.choice(["[]", "[1, 2, 3]", "['a', 'b']", "(1, 'x')", "range(4)", "[none, 0]", "[[1, 2], [3, 4]]"])
        if kind == "dict":
            return rng.choice(["{}", "{'a': 1}", "{'x': [1], 'y': none}", "dict(k=2)"])
        return rng.choice(["none", "1", "'a'", "undefined_name", "2.5"])

    def name(self, kind):
        if self.variables and self.rng.random() < 0.3:
            return self.rng.choice(self.variables)
        if self.loops and self.rng.random() < 0.2:
            field = ["index", "index0", "first", "last", "length", "revindex", "previtem", "nextitem", "depth"]
            return "loop." + self.rng.choice(field)
        return self.rng.choice(NAMES[kind])

    def expression(self, kind, depth):
        rng = self.rng
        if rng.random() < 0.05:
            kind = rng.choice(TYPES)
        if depth <= 0 or rng.random() < 0.15:
            return self.name(kind) if rng.random() < 0.6 else self.literal(kind)
        sub = lambda k: self.expression(k, depth - 1)
        choice = rng.randrange(10)
        if choice == 0:
            return f"({sub(kind)} if {sub('bool')} else {sub(kind)})"
        if choice == 1 and kind in METHODS:
            return f"{self.primary(depth)}.{self.fill(rng.choice(METHODS[kind]), depth)}"
        if choice in (2, 3) and kind in FILTERS:
            return "(" + self.fill(rng.choice(FILTERS[kind]), depth) + ")"
        if choice == 4 and self.macros and kind == "str":
            return f"{rng.choice(self.macros)}({', '.join(sub('any') for _ in range(rng.randrange(3)))})"
        if kind == "str":
            return rng.choice([
                lambda: f"({sub('str')} + {sub('str')})", lambda: f"({sub('any')} ~ {sub('any')})", lambda: f"{self.primary(depth)}[{sub('int')}]",
                lambda: f"{self.primary(depth)}[{sub('int')}:{sub('int')}]", lambda: f"{self.primary(depth)}[::{rng.choice(['-1', '2', '-2'])}]",
                lambda: f"({sub('str')} * {rng.randrange(-1, 4)})", lambda: f"('%s|%s' % ({sub('any')}, {sub('any')}))",
            ])()  # fmt: skip
        if kind in ("int", "num"):
            op = rng.choice(["+", "-", "*", "//", "%"] + (["/"] if kind == "num" else []))
            return f"({sub(kind)} {op} {sub(kind)})" if rng.random() < 0.8 else f"-{sub(kind)}"
        if kind == "list":
            return rng.choice([
                lambda: f"({sub('list')} + {sub('list')})", lambda: f"[{sub('any')}, {sub('any')}]", lambda: f"{sub('list')}[{sub('int')}:]",
                lambda: f"{sub('list')}[:{sub('int')}]", lambda: f"{sub('dict')}.items()", lambda: f"{sub('dict')}.values()", lambda: f"({sub('any')}, {sub('any')})",
                lambda: f"range({rng.randrange(6)}, {rng.randrange(6)}, {rng.choice([1, 2, -1])})",
            ])()  # fmt: skip
        if kind == "dict":
            return f"{{{sub('str')}: {sub('any')}, 'k': {sub('any')}}}"
        if kind == "bool":
            return rng.choice([
                lambda: f"({sub('any')} {rng.choice(['==', '!='])} {sub('any')})", lambda: f"({sub('num')} {rng.choice(['<', '>', '<=', '>='])} {sub('num')})",
                lambda: f"({sub('str')} {rng.choice(['in', 'not in'])} {sub('str')})", lambda: f"({sub('any')} in {sub('list')})",
                lambda: f"({sub('any')} {rng.choice(['and', 'or'])} {sub('any')})", lambda: f"(not {sub('any')})",
                lambda: f"({sub('any')} is {rng.choice(['', 'not '])}{self.fill(rng.choice(TESTS), depth)})", lambda: f"({sub('int')} < {sub('int')} < {sub('int')})",
            ])()  # fmt: skip
        return rng.choice([
            lambda: sub(rng.choice(TYPES)), lambda: f"{sub('list')}[{sub('int')}]", lambda: f"{sub('dict')}[{sub('str')}]", lambda: f"{sub('dict')}.get({sub('str')}, {sub('any')})",
            lambda: f"{sub('dict')}.{rng.choice(['a', 'x', 'b', 'zz'])}", lambda: f"{sub('list')}[0].{rng.choice(['name', 'role', 'age'])}",
        ])()  # fmt: skip

    def primary(self, depth):
        return self.rng.choice(NAMES["str"]) if self.rng.random() < 0.5 else f"({self.expression('str', depth - 1)})"

    def text(self):
        return self.rng.choice(["", "\n", " ", "x", " text ", "\n  ", "a\n", "\t", "\n\n"])

    def block(self, tag, body, end):
        sign = lambda: self.rng.choice(["", "", "", "-", "+"])
        return f"{{%{sign()} {tag} {sign()}%}}{body}{{%{sign()} {end} {sign()}%}}"

    def body(self, depth):
        return "".join(self.statement(depth) for _ in range(self.rng.randint(1, 3)))

    def statement(self, depth):
        rng = self.rng
        kinds = ["print"] * 4 + ["set"] * 2 + (["if", "for", "capture", "with", "filter", "macro", "call", "namespace"] if depth > 0 else [])
        return self.text() + getattr(self, "make_" + rng.choice(kinds))(depth) + self.text()

    def make_print(self, depth):
        left, right = self.rng.choice(["", "", "-"]), self.rng.choice(["", "", "-"])
        return f"{{{{{left} {self.expression(self.rng.choice(TYPES), 3)} {right}}}}}"

    def make_set(self, depth):
        name = self.rng.choice(["v1", "v2", "s", "l"])
        self.variables.append(name)
        return f"{{% set {name} = {self.expression(self.rng.choice(TYPES), 3)} %}}"

    def make_capture(self, depth):
        name = self.rng.choice(["v1", "v2"])
        return self.block(f"set {name}", self.body(depth - 1), "endset")

    def make_if(self, depth):
        body = self.body(depth - 1)
        if self.rng.random() < 0.5:
            body += "{% elif " + self.expression("bool", 2) + " %}" + self.body(depth - 1)
        if self.rng.random() < 0.5:
            body += "{% else %}" + self.body(depth - 1)
        return self.block("if " + self.expression("bool", 3), body, "endif")

    def make_for(self, depth):
        target = self.rng.choice(["x", "x", "x", "k, w"])
        source = self.expression("dict", 1) + ".items()" if "," in target else self.expression("list", 2)
        condition = " if " + self.expression("bool", 2) if self.rng.random() < 0.2 else ""
        before, self.variables = self.variables, self.variables + target.split(", ")
        self.loops += 1
        body = self.body(depth - 1)
        if self.rng.random() < 0.2:
            body += "{% if " + self.expression("bool", 1) + " %}{% " + self.rng.choice(["break", "continue"]) + " %}{% endif %}" + self.text()
        self.loops -= 1
        self.variables = before
        if self.rng.random() < 0.3:
            body += "{% else %}" + self.body(depth - 1)
        return self.block(f"for {target} in {source}{condition}", body, "endfor")

    def make_with(self, depth):
        return self.block(f"with v1 = {self.expression('any', 2)}", self.body(depth - 1), "endwith")

    def make_filter(self, depth):
        return self.block("filter " + self.rng.choice(["upper", "trim", "replace('a', 'b')", "indent(2)", "length"]), self.body(depth - 1), "endfilter")

    def make_macro(self, depth):
        name = self.rng.choice(["m1", "m2"])
        before, loops, self.loops = self.variables, self.loops, 0
        macros, self.macros = self.macros, []
        self.variables = self.variables + ["p", "q"]
        body = self.body(depth - 1)
        self.variables, self.loops, self.macros = before, loops, macros + [name]
        return self.block(f"macro {name}(p, q={self.expression('any', 1)})", body, "endmacro")

    def make_call(self, depth):
        definition = "{% macro wrap(p) %}[{{ caller(p) }}]{% endmacro %}"
        loops, self.loops = self.loops, 0
        call = self.block(f"call(c) wrap({self.expression('any', 2)})", "{{ c }}" + self.body(depth - 1), "endcall")
        self.loops = loops
        return definition + call

    def make_namespace(self, depth):
        self.variables.append("ns.v")
        body = "{% set ns.v = " + self.expression("any", 2) + " %}"
        return "{% set ns = namespace(v=" + self.expression("any", 2) + ") %}" + "{% for y in range(2) %}" + body + self.text() + "{% endfor %}{{ ns.v }}"
