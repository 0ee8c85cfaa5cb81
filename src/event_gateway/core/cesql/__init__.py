"""CESQL, the CloudEvents SQL expression language, version 1.0.0 (cloudevents/spec, cesql/spec.md).

A parser and an evaluator that import nothing but the standard library. Their users import them from
:mod:`event_gateway.cesql`; the page for them is ``docs/guides/cesql.md``.

    parse(text) -> Expression
    expression.evaluate(event) -> (value, errors)

``lexemes`` and ``parser`` make a tree (``nodes``) of a text, ``printer`` makes a text of a tree,
``compiler`` makes a function of it. ``casts``, ``operators``, ``like`` and ``built_in`` are what it
calculates with; ``functions`` is for functions of the user's own.
"""
