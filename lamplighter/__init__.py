"""The Python API of Lamplighter: open a project, read its tables, plan and run jobs.

    import lamplighter

    project = lamplighter.open()
    project.read("user_features", data_date="2022-05-08").show()
    project.plan("2022-05-09")
    project.lists(user=40)

Everything here is what the command `lamplighter` does, as functions that return values.
"""

from lamplighter.place import put_first

put_first()  # before what follows: it imports core, jobs and the others

from lamplighter.project import Project, open  # noqa: A004, E402  # read as lamplighter.open(...)

__all__ = ["Project", "open"]
