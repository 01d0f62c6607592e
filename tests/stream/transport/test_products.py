import numpy as np

from stream.messages import Product
from stream.transport.products import Products


def test_a_product_that_a_disk_refuses_is_counted_and_the_sink_says_why(tmp_path):
    (tmp_path / "file").touch()
    sink = Products(tmp_path / "file")
    rows = np.zeros(1, [("ID", "<i4")])
    tables = {"CORONAE": rows, "LINES": rows}
    sink.send(Product(stream="s", kind="coronae", sequence=0, time_ns=0, tables=tables, header={}))
    assert sink.counters == {"not_written": 1}
    assert sink.refused == f"{tmp_path}/file: cannot be written: File exists"
