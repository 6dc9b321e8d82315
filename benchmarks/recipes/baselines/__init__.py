"""What each recipe's model has to beat: trained on the train split alone, measured on the test split.

Every baseline takes the training and the test rows and returns name -> metric -> number.
"""
