#!/usr/bin/env bash
# Makes the environments that Lamplighter runs in; `make demo` and `make test` call it when it is needed.
#
#   tools/setup.sh            .venv: platform, Horovod, Delta jars, Spark's defaults
#   tools/setup.sh spark      Spark's defaults alone, such as after the machine's memory changed
#   tools/setup.sh s3         what Spark needs beside it for s3a:// (hadoop-aws and AWS's SDK, 560 MB, kept)
#   tools/setup.sh airflow    .venv-airflow: Airflow alone (its pyspark-client overwrites pyspark)
#   tools/setup.sh cluster    what `make cluster-demo` starts beside Spark: builds the object store, checks PostgreSQL
#
# Every stage may be killed and run again: what is made once (the Horovod wheel, the Delta jars) is made beside
# its place and renamed. It is kept in ${XDG_CACHE_HOME:-~/.cache}/lamplighter. A stage's output goes to
# build/setup/STAGE.log; when it fails, the end of it is shown.
#
# PYTHON          the Python 3.11 to use, when it is not found
# LAMPLIGHTER_DRIVER_MEMORY=6g   memory of Spark's driver, written into Spark's defaults: a quarter of the machine's,
#                                2 to 8 GB, where it is not set; set for one run, it counts for that run
# HOROVOD_GPU=0   build Horovod without NCCL on a machine that has a GPU and nvcc
set -euo pipefail
cd "$(dirname "$0")/.."

VERSITYGW=1.8.0
VERSITYGW_GO=1.25 # what its go.mod asks for
JDBC_DRIVER=42.7.7

root=$PWD
logs=build/setup
cache=${XDG_CACHE_HOME:-${HOME:-$root/build}/.cache}/lamplighter
python=.venv/bin/python

pinned() { # the version of package $1 in constraints.txt
  sed -n "s/^$1==//p" constraints.txt
}

stage() { # NAME FUNCTION: run it quietly, say how long it took
  local name=$1 log status begun=$SECONDS
  log=$logs/${name// /-}.log
  printf '  %-24s ' "$name"
  set +e
  (set -e; "$2") >"$log" 2>&1
  status=$?
  set -e
  if [ "$status" -ne 0 ]; then
    printf 'failed after %d s\n\n' $((SECONDS - begun))
    tail -n 25 "$log"
    printf '\nsetup: %s failed; all of its output is in %s. Fix it and type the same command again.\n' "$name" "$log"
    exit 1
  fi
  printf '%4d s\n' $((SECONDS - begun))
}

# --- what must be there -------------------------------------------------------------------------

find_python() { # the path of a Python 3.11
  local candidate
  for candidate in "${PYTHON:-}" python3.11 python3 python "${HOME:-}"/.pyenv/versions/3.11*/bin/python; do
    # A pyenv shim exists for versions that are not active, so ask each candidate to run.
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null
    then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
}

java_major() { # 17 for 17.0.15; nothing without Java
  local java=java
  [ -z "${JAVA_HOME:-}" ] || java=$JAVA_HOME/bin/java
  { "$java" -version 2>&1 || true; } | sed -n 's/.*version "\([0-9]*\).*/\1/p'
}

go_program() { # the path of a Go that builds the object store; nothing without one
  local candidate version
  for candidate in "$(command -v go || true)" /usr/local/go/bin/go; do
    version=$(GOTOOLCHAIN=local "${candidate:-false}" env GOVERSION 2>/dev/null | sed 's/^go//') || continue
    if [ -n "$version" ] && [ "$(printf '%s\n' "$VERSITYGW_GO" "$version" | sort -V | head -n 1)" = "$VERSITYGW_GO" ]; then
      echo "$candidate"
      return
    fi
  done
}

has_postgres() {
  command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

horovod_wheels() { # the folder of the cached wheel: what it was built for is in the name
  local device=cpu
  if command -v nvidia-smi >/dev/null && command -v nvcc >/dev/null && [ "${HOROVOD_GPU:-1}" != 0 ]; then
    device=nccl
  fi
  echo "$cache/wheels/horovod-$(pinned horovod)-torch$(pinned torch)-py3.11-$(uname -m)-$device"
}

check_tools() { # name everything that is missing at once
  local missing=() java
  base_python=$(find_python)
  java=$(java_major)
  if [ -z "$base_python" ]; then
    missing+=("Python 3.11              apt-get install python3 python3-venv python3-dev (elsewhere: set PYTHON to its path)")
  elif ! "$base_python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=("Python's venv module     apt-get install python3-venv")
  fi
  if [ "${1:-}" = platform ]; then
    if [ "${java:-0}" -lt 17 ] || [ "$java" -gt 21 ]; then
      missing+=("Java 17 (found: ${java:-none})    apt-get install openjdk-17-jre-headless (or set JAVA_HOME to a Java 17 .. 21)")
    fi
    if ! ls "$(horovod_wheels)"/*.whl >/dev/null 2>&1; then
      command -v "${CXX:-g++}" >/dev/null || missing+=("g++                      apt-get install g++")
      command -v make >/dev/null || missing+=("make                     apt-get install make")
      if [ -n "$base_python" ] && ! "$base_python" -c '
import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'; then
        missing+=("Python's headers         apt-get install python3-dev")
      fi
    fi
  fi
  if [ "${1:-}" = cluster ]; then
    if [ ! -x "$cache/versitygw/$VERSITYGW/versitygw" ] && [ -z "$(go_program)" ]; then
      missing+=("Go $VERSITYGW_GO or newer        https://go.dev/dl, on PATH or in /usr/local/go (builds the object store versitygw)")
    fi
    has_postgres || missing+=("PostgreSQL               apt-get install postgresql")
    command -v setpriv >/dev/null || missing+=("setpriv                  apt-get install util-linux")
  fi
  if [ ${#missing[@]} -gt 0 ]; then
    echo "setup: this machine lacks what follows (package names are Debian 12's):" >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 2
  fi
}

# --- stages of the platform ---------------------------------------------------------------------

make_venv() {
  make_environment .venv
}

make_environment() { # FOLDER: one that is half-made, of another Python, or was moved here is made anew
  if [ -e "$1/installing" ] || ! grep -qF "$root/$1" "$1/bin/activate" ||
    ! "$1/bin/python" -c 'import sys, pip; sys.exit(sys.version_info[:2] != (3, 11))'; then
    rm -f "$1/bin/activate" # first of all: a removal that is cut off must not pass for an environment
    rm -rf "$1"
    "$base_python" -m venv "$1" # writes bin/activate last
  fi
}

pip_install() { # FOLDER ARGUMENTS: an install that is cut off leaves its mark, see make_environment
  touch "$1/installing"
  "$1/bin/python" -m pip install "${@:2}"
  rm "$1/installing"
}

install_packages() {
  # pyproject.toml lists what is needed; Horovod comes next because it is built against this torch.
  # cmake is for that build; setuptools must be there before anything is built without isolation.
  pip_install .venv -c constraints.txt setuptools wheel
  "$python" -c '
import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
needs = project["dependencies"] + project["optional-dependencies"]["dev"]
print("\n".join(needs))' >build/setup/requirements.txt
  pip_install .venv -c constraints.txt -r build/setup/requirements.txt cmake
}

install_horovod() {
  local wheels build key
  wheels=$(horovod_wheels)
  build=$root/.venv/horovod-build
  key=$(basename "$wheels")
  if ! ls "$wheels"/*.whl; then
    rm -rf "$build"
    mkdir -p "$build/wheels" "$wheels"
    # Horovod's CMake asks for C++14, torch's headers for 17; the last -std wins.
    printf '#!/bin/sh\nexec %s "$@" -std=gnu++17\n' "$(command -v "${CXX:-g++}")" >"$build/cxx"
    chmod +x "$build/cxx"
    export HOROVOD_WITH_PYTORCH=1 HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_WITHOUT_MXNET=1
    export HOROVOD_WITHOUT_MPI=1 HOROVOD_WITH_GLOO=1
    case $key in *-nccl) use_nccl "$build" ;; esac
    PATH=$root/.venv/bin:$PATH CXX=$build/cxx MAKEFLAGS=-j$(nproc) TMPDIR=$build \
      "$python" -m pip wheel --no-build-isolation --no-deps --no-cache-dir -w "$build/wheels" \
      "horovod==$(pinned horovod)"
    local wheel
    wheel=$(basename "$build"/wheels/*.whl)
    cp "$build/wheels/$wheel" "$wheels/.$wheel.$$"
    mv "$wheels/.$wheel.$$" "$wheels/$wheel"
    rm -rf "$build"
  fi
  if [ "$(cat .venv/horovod.built-for 2>/dev/null)" != "$key" ]; then
    pip_install .venv --no-deps --force-reinstall "$wheels"/*.whl
    "$python" -c 'import horovod.torch'
    echo "$key" >.venv/horovod.built-for
  fi
}

use_nccl() { # BUILD: GPU operations over the NCCL that torch brings (its package has no libnccl.so to link with)
  local nccl
  nccl=$("$python" -c 'import nvidia.nccl; print(list(nvidia.nccl.__path__)[0])')
  mkdir -p "$1/nccl/lib"
  ln -sfn "$nccl/include" "$1/nccl/include"
  ln -sfn "$nccl/lib/libnccl.so.2" "$1/nccl/lib/libnccl.so"
  export HOROVOD_GPU_OPERATIONS=NCCL HOROVOD_NCCL_HOME=$1/nccl
}

install_delta_jars() {
  local version jars spark jar
  version=$(pinned delta-spark)
  jars=$cache/jars/delta-spark-$version
  spark=$("$python" -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("pyspark").origin))')
  if [ ! -d "$jars" ]; then
    mkdir -p "$cache/jars"
    rm -rf "$jars".part.*
    local java=java
    [ -z "${JAVA_HOME:-}" ] || java=$JAVA_HOME/bin/java
    "$java" -cp "$spark/jars/*" org.apache.ivy.Main -cache "$jars.part.$$/ivy" -types jar bundle -confs default \
      -dependency io.delta delta-spark_2.13 "$version" \
      -retrieve "$jars.part.$$/[organisation]_[artifact]-[revision].[ext]"
    rm -rf "$jars.part.$$/ivy"
    mv "$jars.part.$$" "$jars"
  fi
  # In Spark's own folder every session and every spark-submit finds them. Their other dependencies (ANTLR, the
  # Scala library) are there already, in the versions that Spark was built with.
  for jar in "$jars"/io.delta_*.jar; do
    cmp -s "$jar" "$spark/jars/${jar##*/}" || { cp "$jar" "$spark/jars/.new" && mv "$spark/jars/.new" "$spark/jars/${jar##*/}"; }
  done
  for jar in "$spark"/jars/io.delta_*.jar; do
    [ -e "$jars/${jar##*/}" ] || rm "$jar"
  done
}

install_s3_jars() { # of the Hadoop that Spark brings; linked into Spark's own folder, as Delta's are copied
  local version jars spark jar
  spark=$("$python" -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("pyspark").origin))')
  version=$(basename "$spark"/jars/hadoop-client-api-*.jar .jar)
  version=${version#hadoop-client-api-}
  jars=$cache/jars/hadoop-aws-$version
  if [ ! -d "$jars" ]; then
    mkdir -p "$cache/jars"
    rm -rf "$jars".part.*
    local java=java
    [ -z "${JAVA_HOME:-}" ] || java=$JAVA_HOME/bin/java
    "$java" -cp "$spark/jars/*" org.apache.ivy.Main -cache "$jars.part.$$/ivy" -types jar bundle -confs default \
      -dependency org.apache.hadoop hadoop-aws "$version" \
      -retrieve "$jars.part.$$/[organisation]_[artifact]-[revision].[ext]"
    rm -rf "$jars.part.$$/ivy"
    mv "$jars.part.$$" "$jars"
  fi
  for jar in "$spark"/jars/{org.apache.hadoop_hadoop-aws,software.amazon.awssdk_bundle,org.wildfly.openssl_*}-*.jar; do
    [ ! -e "$jar" ] || [ -e "$jars/${jar##*/}" ] || rm "$jar"
  done
  for jar in "$jars"/*.jar; do
    [ -e "$spark/jars/${jar##*/}" ] || ln "$jar" "$spark/jars/" || { cp "$jar" "$spark/jars/.new" && mv "$spark/jars/.new" "$spark/jars/${jar##*/}"; }
  done
}

install_jdbc_driver() { # locks on PostgreSQL are held by the JVM that commits
  local jars spark jar
  jars=$cache/jars/postgresql-$JDBC_DRIVER
  spark=$("$python" -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("pyspark").origin))')
  if [ ! -d "$jars" ]; then
    mkdir -p "$cache/jars"
    rm -rf "$jars".part.*
    local java=java
    [ -z "${JAVA_HOME:-}" ] || java=$JAVA_HOME/bin/java
    "$java" -cp "$spark/jars/*" org.apache.ivy.Main -cache "$jars.part.$$/ivy" -types jar bundle -confs default \
      -notransitive -dependency org.postgresql postgresql "$JDBC_DRIVER" \
      -retrieve "$jars.part.$$/[organisation]_[artifact]-[revision].[ext]"
    rm -rf "$jars.part.$$/ivy"
    mv "$jars.part.$$" "$jars"
  fi
  for jar in "$jars"/org.postgresql_*.jar; do
    cmp -s "$jar" "$spark/jars/${jar##*/}" || { cp "$jar" "$spark/jars/.new" && mv "$spark/jars/.new" "$spark/jars/${jar##*/}"; }
  done
  for jar in "$spark"/jars/org.postgresql_*.jar; do
    [ -e "$jars/${jar##*/}" ] || rm "$jar"
  done
}

configure_spark() {
  local spark memory
  spark=$("$python" -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("pyspark").origin))')
  mkdir -p "$spark/conf"
  ln -sfn "$root/conf/spark/log4j2.properties" "$spark/conf/log4j2.properties"
  # The JVM's memory is fixed when it starts, so it must be where spark-submit and Python both find it.
  memory=${LAMPLIGHTER_DRIVER_MEMORY:-}
  [ -n "$memory" ] || memory=$("$python" -m jobs.tables.machine)
  {
    cat conf/spark/spark-defaults.conf
    printf '\n# Written by tools/setup.sh for this machine.\nspark.driver.memory  %s\n' "$memory"
  } >"$spark/conf/.spark-defaults.conf"
  mv "$spark/conf/.spark-defaults.conf" "$spark/conf/spark-defaults.conf"
  # pip's spark-submit looks for pyspark with whatever python3 is first on PATH; this one knows its own.
  cat >.venv/bin/.spark-submit <<EOF
#!/bin/sh
export SPARK_HOME='$spark'
export PYSPARK_PYTHON="\${PYSPARK_PYTHON:-$root/.venv/bin/python}"
export SPARK_LOCAL_IP="\${SPARK_LOCAL_IP:-127.0.0.1}"
exec "\$SPARK_HOME/bin/spark-submit" \${LAMPLIGHTER_DRIVER_MEMORY:+--driver-memory "\$LAMPLIGHTER_DRIVER_MEMORY"} "\$@"
EOF
  chmod +x .venv/bin/.spark-submit
  mv .venv/bin/.spark-submit .venv/bin/spark-submit
}

install_lamplighter() {
  pip_install .venv --no-build-isolation --no-deps -e .
}

check_versions() {
  "$python" -m pip check
}

# --- stages of Airflow --------------------------------------------------------------------------

make_airflow_venv() {
  make_environment .venv-airflow
}

install_airflow() {
  # psycopg2 and asyncpg: Airflow's database on PostgreSQL, where a scheduler runs.
  pip_install .venv-airflow -c constraints-airflow.txt apache-airflow apache-airflow-providers-apache-spark \
    psycopg2-binary asyncpg
}

check_airflow() {
  .venv-airflow/bin/python -m pip check
}

# --- stages of the cluster demo -----------------------------------------------------------------

build_object_store() {
  local folder=$cache/versitygw/$VERSITYGW
  if [ ! -x "$folder/versitygw" ]; then
    mkdir -p "$folder"
    rm -rf "$folder"/part.*
    GOBIN=$folder/part.$$ GOTOOLCHAIN=local CGO_ENABLED=0 "$(go_program)" install \
      "github.com/versity/versitygw/cmd/versitygw@v$VERSITYGW"
    mv "$folder/part.$$/versitygw" "$folder/versitygw"
    rm -rf "$folder/part.$$"
  fi
  "$folder/versitygw" --version
}

# --- one after another --------------------------------------------------------------------------

mkdir -p "$logs"
exec 9>build/setup/lock # two set-ups of one checkout wait for each other
flock 9

case ${1:-platform} in
  platform)
    check_tools platform
    rm -f .venv/ready
    echo "Set-up into .venv, from constraints.txt (about 10 minutes the first time, then kept):"
    stage "virtual environment" make_venv
    stage "Python packages" install_packages
    stage "Horovod" install_horovod
    stage "Delta jars" install_delta_jars
    stage "PostgreSQL driver" install_jdbc_driver
    stage "Spark defaults" configure_spark
    stage "Lamplighter" install_lamplighter
    stage "pip check" check_versions
    touch .venv/ready
    ;;
  spark)
    stage "Spark defaults" configure_spark
    ;;
  s3)
    if [ ! -e .venv/ready ]; then
      echo "setup: .venv is not ready; run tools/setup.sh first" >&2
      exit 2
    fi
    stage "Jars for s3a" install_s3_jars
    ;;
  airflow)
    check_tools airflow
    rm -f .venv-airflow/ready
    echo "Set-up of Airflow into .venv-airflow, from constraints-airflow.txt:"
    stage "Airflow environment" make_airflow_venv
    stage "Airflow packages" install_airflow
    stage "Airflow pip check" check_airflow
    touch .venv-airflow/ready
    ;;
  cluster)
    check_tools cluster
    echo "Set-up of what the cluster demo needs beside .venv:"
    stage "Jars for s3a" install_s3_jars
    stage "object store" build_object_store
    ;;
  *)
    echo "usage: tools/setup.sh [platform|spark|s3|airflow|cluster]" >&2
    exit 2
    ;;
esac
