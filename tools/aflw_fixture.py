#!/usr/bin/env python3
"""Writes tests/fixtures/aflw.sqlite: the tables of AFLW's database that are read, with made-up faces, by SQLite itself.

Run from the root of the repository: python3 tools/aflw_fixture.py
"""

import os
import sqlite3

PATH = "tests/fixtures/aflw.sqlite"
if os.path.exists(PATH):
    os.remove(PATH)
database = sqlite3.connect(PATH)
database.executescript(
    """
    PRAGMA page_size = 512;
    CREATE TABLE Faces (face_id INTEGER PRIMARY KEY, file_id TEXT NOT NULL, db_id TEXT NOT NULL DEFAULT 'flickr, (or so)');
    CREATE TABLE FaceImages ("image_id" INTEGER NOT NULL, [db_id] TEXT, file_id TEXT, filepath TEXT, width INTEGER, height INTEGER,
        PRIMARY KEY (image_id), UNIQUE (db_id, file_id));
    CREATE TABLE FaceRect (face_id INTEGER NOT NULL PRIMARY KEY, x INTEGER, y INTEGER, w INTEGER, h INTEGER, annot_type_id INTEGER);
    CREATE TABLE FeatureCoords (face_id INTEGER, feature_id INTEGER, x REAL, y REAL, PRIMARY KEY (face_id, feature_id));
    CREATE TABLE FeatureCoordTypes (feature_id INTEGER PRIMARY KEY, descr TEXT);
    """
)


def face(number, path=None, image=True, box=True, width=100, points=range(1, 22)):
    file_id = f"file{number}.jpg"
    database.execute("INSERT INTO Faces VALUES (?, ?, 'flickr')", (number, file_id))
    if image:
        path = path or f"3/image{number:05}.jpg"
        database.execute("INSERT INTO FaceImages VALUES (?, 'flickr', ?, ?, 640, 480)", (number, file_id, path))
    if box:
        database.execute("INSERT INTO FaceRect VALUES (?, ?, ?, ?, ?, 1)", (number, number, number + 10, width, 120))
    for point in points:
        database.execute("INSERT INTO FeatureCoords VALUES (?, ?, ?, ?)", (number, point, number + point, number + 10.5 + point))


for number in range(1, 61):
    face(number, points=(8, 11, 15, 18, 20))
face(900, path="3/" + "long" * 600 + ".jpg")
face(901, path="3/hidden.jpg", points=(1, 8, 11, 15, 18))
face(902, image=False)
face(903, width=0)
face(904, box=False)
database.commit()
database.execute("VACUUM")
database.close()
