"""Five people, three of whom rules divert: rows, schema, rules and columns of a contract."""

SCHEMA = "id int, mail string, age int"

ROWS = [(1, "a@x.org", 30), (2, "b@x.org", -4), (3, None, 41), (4, "d@x.org", 200), (5, "e@x.org", 7)]

RULES = 'IsPrimaryKey "id",\nIsComplete "mail",\nColumnValues "age" between 0 and 150'

COLUMNS = "{mail: {class: email, protect: token}}"
