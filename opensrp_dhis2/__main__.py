"""`python -m opensrp_dhis2`: the command line where no console script can start, such as a clone that was moved."""

from opensrp_dhis2.cli import main

if __name__ == "__main__":
    main(prog_name="opensrp-dhis2")
