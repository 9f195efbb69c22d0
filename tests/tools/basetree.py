# SPDX-License-Identifier: Apache-2.0
"""What the trees of several file systems' tests begin with."""
import os


def base():
    """In the current folder: a folder of 20,000 small files, one that is 60 deep, one that is empty."""
    os.mkdir("many")
    for i in range(20000):
        with open("many/f%05d" % i, "wb") as o:
            o.write(b"%d" % i * (i % 40))
    deep = "."
    for i in range(60):
        deep += "/d%d" % i
        os.mkdir(deep)
    open(deep + "/bottom", "w").write("deep")
    os.mkdir("empty")
