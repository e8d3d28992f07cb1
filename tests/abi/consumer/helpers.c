/* SPDX-License-Identifier: Apache-2.0 */
/* A static library with a symbol that is not hidden: the plugin must not export it. */
int consumer_helper(int n);
int consumer_helper(int n)
{
    return n + 1;
}
