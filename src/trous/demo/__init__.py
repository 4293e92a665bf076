"""The main job on a photograph, told as one page: enlarge it, look at it through holes, replay the textbook, time all.

`story.tell` does the work, `page.page` writes it up; the command line is `trous.cli.demo`.
"""
