"""
What a cluster is given: the code, and what it runs.

job       what spark-submit runs: `ferry load --spark`
package   the code as one file for --py-files
"""
