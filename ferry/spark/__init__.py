"""
The code for a Spark cluster.

job       the main file for spark-submit: `ferry load --spark`
package   the code as one file for --py-files
"""
