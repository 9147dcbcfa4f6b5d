"""Lists and counts of tasks: which index leads to the tasks of a filter, and how far one looks.

No planner of a database can know that the failed tasks of a customer are few when neither the
failed tasks nor the customer's are. So nothing here is left to one: a page is read from a stream
of candidates in its order, from one index that is chosen here, and a page that has looked at
enough of them ends, full or not.
"""
