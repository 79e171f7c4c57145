"""The command `lamplighter` as a program for spark-submit, which takes files that end in .py alone.

spark-submit --master spark://HOST:PORT tools/lamplighter_app.py night --env cluster --data-date 2022-05-08
"""

from jobs.cli.main import main

if __name__ == "__main__":
    main()
